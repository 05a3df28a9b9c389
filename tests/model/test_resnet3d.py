"""The baseline: torchvision's network, and what the training asks of a model."""

import torch
from torchvision.models.video import r3d_18

from lmttm.config.files import load_config
from lmttm.data.augment import Augment
from lmttm.data.dataset import Split
from lmttm.model.build import build_model
from lmttm.model.resnet3d import ResNet3D
from lmttm.runs import checkpoint
from lmttm.training.trainer import Trainer


def baseline(*overrides):
    model = build_model(load_config("resnet3d.json", ["distance=off", *overrides]))
    assert type(model) is ResNet3D
    return model


def test_a_grey_volume_passes_as_a_film_of_three_equal_colours():
    torch.manual_seed(0)
    film = r3d_18(weights=None, num_classes=2).eval()
    ours = baseline().eval()
    weights = film.state_dict()
    weights["stem.0.weight"] = weights["stem.0.weight"].sum(dim=1, keepdim=True)
    ours.net.load_state_dict(weights)
    volumes = torch.rand(2, 1, 28, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(ours(volumes), film(volumes.expand(-1, 3, -1, -1, -1)))


def test_it_trains_like_the_machine_and_its_file_rebuilds_it(tmp_path):
    config = load_config("resnet3d.json", ["model.out_class_num=3"])
    torch.manual_seed(0)
    model = build_model(config)
    images = torch.randint(256, (3, 28, 28, 28), dtype=torch.uint8)
    split = Split("train", images, torch.tensor([0, 1, 2]), distances=torch.rand(3, 28, 28, 28))
    before = {name: value.clone() for name, value in model.named_parameters()}
    trainer = Trainer(
        model,
        split,
        augment=Augment(),
        optimizer=torch.optim.AdamW(model.parameters()),
        lr_at=lambda step: 1e-3,
        seed=0,
        batch_size=3,
    )
    trainer.train_epoch()
    unmoved = [n for n, value in model.named_parameters() if torch.equal(value, before[n])]
    assert not unmoved

    checkpoint.save(tmp_path / "best.pth", config=config, model=model, epoch=1, validation={})
    rebuilt = checkpoint.load(tmp_path / "best.pth").build().eval()
    volumes = split.inputs(torch.arange(3))
    with torch.no_grad():
        torch.testing.assert_close(rebuilt(volumes), model.eval()(volumes), rtol=0, atol=0)
        alone = rebuilt(volumes[1:2])
        torch.testing.assert_close(alone, rebuilt(volumes)[1:2], rtol=1e-4, atol=1e-5)
