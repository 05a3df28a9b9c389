"""One step of the machine, transcribed from its equations in numpy, one volume at a time.

Nothing here is shared with the package: weights come as a plain dict of arrays.
"""

import math

import numpy as np

_erf = np.vectorize(math.erf)


def gelu(x):
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


def layer_norm(x, gain, bias):
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * gain + bias


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def summarize(tokens, w, name):
    """S_j: j softmax weightings over the tokens, applied to their values."""
    hidden = layer_norm(tokens, w[f"{name}.score.0.weight"], w[f"{name}.score.0.bias"])
    hidden = gelu(hidden @ w[f"{name}.score.1.weight"].T)
    scores = hidden @ w[f"{name}.score.3.weight"].T
    values = gelu(tokens @ w[f"{name}.value.0.weight"].T)
    weights = softmax(scores, axis=0)
    return np.stack(
        [sum(weights[i, j] * values[i] for i in range(len(tokens))) for j in range(scores.shape[1])]
    )


def summarize_mha(tokens, w, name, heads):
    """S_j of memory mode TL-MHA: learned queries attend to the tokens."""
    q = w[f"{name}.queries"] @ w[f"{name}.query.weight"].T + w[f"{name}.query.bias"]
    k = tokens @ w[f"{name}.key.weight"].T
    v = tokens @ w[f"{name}.value.weight"].T + w[f"{name}.value.bias"]
    return attention(q, k, v, heads) @ w[f"{name}.output.weight"].T + w[f"{name}.output.bias"]


def attention(q, k, v, heads):
    e = q.shape[1] // heads
    out = np.zeros_like(q)
    for h in range(heads):
        part = slice(h * e, (h + 1) * e)
        weights = softmax(q[:, part] @ k[:, part].T / math.sqrt(e), axis=1)
        out[:, part] = weights @ v[:, part]
    return out


def transformer_layer(x, w, name, heads, norm):
    d = x.shape[1]

    def attend(y):
        qkv = y @ w[f"{name}.self_attn.in_proj_weight"].T + w[f"{name}.self_attn.in_proj_bias"]
        out = attention(qkv[:, :d], qkv[:, d : 2 * d], qkv[:, 2 * d :], heads)
        return out @ w[f"{name}.self_attn.out_proj.weight"].T + w[f"{name}.self_attn.out_proj.bias"]

    def feed(y):
        hidden = y @ w[f"{name}.linear1.weight"].T + w[f"{name}.linear1.bias"]
        hidden = gelu(hidden) if norm == "pre" else np.maximum(hidden, 0)
        return hidden @ w[f"{name}.linear2.weight"].T + w[f"{name}.linear2.bias"]

    def normed(y, which):
        return layer_norm(y, w[f"{name}.norm{which}.weight"], w[f"{name}.norm{which}.bias"])

    if norm == "pre":
        x = x + attend(normed(x, 1))
        return x + feed(normed(x, 2))
    x = normed(x + attend(x), 1)
    return normed(x + feed(x), 2)


def mdu(x, w, *, heads, norm, depth, share_layers):
    for index in range(depth):
        layer = 0 if share_layers else index
        x = transformer_layer(x, w, f"cell.process.layers.{layer}", heads, norm)
    if norm == "pre":
        x = layer_norm(x, w["cell.process.final.weight"], w["cell.process.final.bias"])
    return x


def step(memory, inputs, index, w, *, linked, **mdu_settings):
    """One step: memory (k m d), inputs (n d) -> output tokens, new memory."""
    k = len(memory)
    c = index % k
    if linked:
        past, following = (c - 1) % k, (c + 1) % k
        units = [memory[c], memory[past], memory[following]]
    else:
        following = c
        units = [memory[c]]
    reads = [
        summarize(
            np.concatenate([u, inputs]) + w["cell.read.positions.table"], w, "cell.read.summarize"
        )
        for u in units
    ]
    outputs = mdu(np.concatenate(reads), w, **mdu_settings)
    everything = np.concatenate([*units, inputs, outputs]) + w["cell.write.positions.table"]
    new = memory.copy()
    new[following] = summarize(everything, w, "cell.write.summarize")
    return outputs, new


def tokenize(volume, w, patch):
    """Volume (D H W) -> input tokens (t n d), patch by patch."""
    weight, bias = w["tokenizer.embed.0.weight"], w["tokenizer.embed.0.bias"]
    t, h, v = (edge // side for edge, side in zip(volume.shape, patch, strict=True))
    tokens = np.zeros((t, h * v, len(weight)))
    for i in range(t):
        for j in range(h):
            for k in range(v):
                cube = volume[
                    i * patch[0] : (i + 1) * patch[0],
                    j * patch[1] : (j + 1) * patch[1],
                    k * patch[2] : (k + 1) * patch[2],
                ]
                summed = (weight[:, 0] * cube).sum(axis=(1, 2, 3)) + bias
                tokens[i, j * v + k] = np.maximum(summed, 0)
    return tokens
