"""The writes."""

import numpy as np
import torch

from lmttm.model.summarizers import TokenLearner
from lmttm.model.write import EraseAddWrite, SummarizingWrite
from tests import reference


def test_summary_sees_units_inputs_and_outputs_in_this_order():
    write = SummarizingWrite(
        dim=8,
        unit_tokens=3,
        num_neighbours=2,
        input_tokens=5,
        output_tokens=4,
        make_summarizer=lambda j: TokenLearner(dim=8, num_tokens=j, dropout=0.0),
        positions=True,
    ).double()
    torch.nn.init.normal_(write.positions.table)
    units = list(torch.rand(2, 2, 3, 8, dtype=torch.float64))
    inputs = torch.rand(2, 5, 8, dtype=torch.float64)
    outputs = torch.rand(2, 4, 8, dtype=torch.float64)
    w = {f"w.{k}": v.numpy() for k, v in write.summarize.state_dict().items()}
    table = write.positions.table.detach().numpy()
    new = write(units, units[1], inputs, outputs).detach().numpy()
    for b in range(2):
        tokens = np.concatenate([units[0][b], units[1][b], inputs[b], outputs[b]]) + table
        np.testing.assert_allclose(new[b], reference.summarize(tokens, w, "w"), rtol=1e-9)


def test_erase_add_equals_its_equation():
    """Guards against the constant near 1 that the published code adds at each write."""
    write = EraseAddWrite(dim=4, unit_tokens=3).double()
    torch.nn.init.normal_(write.norm.weight)
    torch.nn.init.normal_(write.norm.bias)
    target = torch.rand(2, 3, 4, dtype=torch.float64)
    outputs = torch.randn(2, 5, 4, dtype=torch.float64)
    new = write([], target, outputs, outputs).detach().numpy()
    w = {k: v.numpy() for k, v in write.state_dict().items()}
    for b in range(2):
        expected = target[b].numpy().copy()
        added = np.zeros((3, 4))
        normed = reference.layer_norm(outputs[b].numpy(), w["norm.weight"], w["norm.bias"])
        for o in normed:
            place = reference.softmax(o @ w["place.weight"].T + w["place.bias"], axis=0)
            erase = 1 / (1 + np.exp(-(o @ w["erase.weight"].T + w["erase.bias"])))
            expected *= 1 - np.outer(place, erase)
            added += np.outer(place, o @ w["add.weight"].T + w["add.bias"])
        np.testing.assert_allclose(new[b], expected + added, rtol=1e-9)


def test_erase_add_does_not_grow():
    """Writes of outputs that grow with the memory settle instead of blowing up."""
    torch.manual_seed(0)
    write = EraseAddWrite(dim=8, unit_tokens=4)
    outputs = torch.randn(1, 24, 8)
    memory, sizes = torch.zeros(1, 4, 8), []
    with torch.no_grad():
        for _ in range(500):
            memory = write([], memory, outputs, outputs * (1 + memory.abs().max()))
            sizes.append(memory.abs().max().item())
    assert abs(sizes[-1] - sizes[-100]) < 1e-4
