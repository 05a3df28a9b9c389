"""The Memory Distillation Unit, which maps read tokens to output tokens."""

import math
from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from lmttm.model.layers import Dropout, check_heads


class LayerStack(nn.Module):
    """A stack of layers on tokens `(b n d)` that keeps their shape.

    Args:
        make_layer: Makes one layer.
        depth: Layers, or passes through a shared one.
        share_layers: Whether one layer is applied `depth` times (published).
        drop_path: Share of the volumes that skip a layer in training, in [0, 1); the changes of
            the others are scaled up to compensate (stochastic depth, arXiv 1603.09382).
        final: Applied after the last layer.
    """

    def __init__(
        self,
        make_layer: Callable[[], nn.Module],
        *,
        depth: int,
        share_layers: bool,
        drop_path: float,
        final: nn.Module,
    ) -> None:
        super().__init__()
        self.passes = depth if share_layers else 1
        self.layers = nn.ModuleList(make_layer() for _ in range(1 if share_layers else depth))
        if drop_path:
            from torchvision.ops import StochasticDepth  # slow to import

            self.skip = StochasticDepth(drop_path, mode="row")
        else:
            self.skip = None
        self.final = final

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps read tokens `(b n d)` to output tokens `(b n d)`."""
        for _ in range(self.passes):
            for layer in self.layers:
                changed = layer(tokens)
                tokens = tokens + self.skip(changed - tokens) if self.skip else changed
        outputs: Tensor = self.final(tokens)
        return outputs


class TransformerMDU(LayerStack):
    """MDU `transformer`: self-attention among the read tokens of one volume.

    Args:
        dim: Width of a token, d; a multiple of num_heads.
        depth: Layers.
        num_heads: Attention heads.
        mlp_ratio: Width of the feed-forward layer, in d.
        dropout: Dropout within a layer, in [0, 1).
        norm: `post` (published: LayerNorm after each residual sum, ReLU) or `pre`
            (LayerNorm before each block and one at the end, GELU).
        share_layers: Whether one layer is applied `depth` times (published).
        drop_path: Share of the volumes that skip a layer in training; see `LayerStack`.

    Raises:
        ValueError: dim is not a multiple of num_heads.

    Source: MDU of the paper. The published code attends across the batch instead of
    across the tokens.
    """

    def __init__(
        self,
        *,
        dim: int,
        depth: int,
        num_heads: int,
        mlp_ratio: int,
        dropout: float,
        norm: str,
        share_layers: bool,
        drop_path: float,
    ) -> None:
        super().__init__(
            lambda: _TransformerLayer(dim, num_heads, mlp_ratio, dropout, norm),
            depth=depth,
            share_layers=share_layers,
            drop_path=drop_path,
            final=nn.LayerNorm(dim) if norm == "pre" else nn.Identity(),
        )


class _TransformerLayer(nn.Module):
    """Computes what `nn.TransformerEncoderLayer` does, with weights of the same names."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: int, dropout: float, norm: str) -> None:
        super().__init__()
        self.norm_first = norm == "pre"
        self.self_attn = _SelfAttention(dim, num_heads, dropout)
        self.linear1 = nn.Linear(dim, mlp_ratio * dim)
        self.linear2 = nn.Linear(mlp_ratio * dim, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.activation = nn.GELU() if norm == "pre" else nn.ReLU()
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps tokens `(b n d)`; keeps the shape."""
        if self.norm_first:
            tokens = tokens + self._attend(self.norm1(tokens))
            return tokens + self._feed(self.norm2(tokens))
        tokens = self.norm1(tokens + self._attend(tokens))
        outputs: Tensor = self.norm2(tokens + self._feed(tokens))
        return outputs

    def _attend(self, tokens: Tensor) -> Tensor:
        changes: Tensor = self.dropout(self.self_attn(tokens))
        return changes

    def _feed(self, tokens: Tensor) -> Tensor:
        hidden = self.dropout(self.activation(self.linear1(tokens)))
        changes: Tensor = self.dropout(self.linear2(hidden))
        return changes


class _SelfAttention(nn.Module):
    """Computes what `nn.MultiheadAttention` does, with weights of the same names.

    Torch's own has no fused form with dropout on the CPU: it draws a random number for each weight
    there, and looks for rows without any key.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        check_heads(dim, num_heads)
        self.num_heads = num_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps tokens `(b n d)`, each of which attends to all `n`; keeps the shape."""
        each = F.linear(tokens, self.in_proj_weight, self.in_proj_bias)
        each = rearrange(each, "b n (x h e) -> x b h n e", x=3, h=self.num_heads).contiguous()
        queries, keys, values = each
        scores = (queries / math.sqrt(queries.shape[-1])) @ keys.mT
        # In fp32: on the CPU that is three times as fast as in bf16.
        weights = scores.softmax(dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))
        attended = self.dropout(weights.type_as(values)) @ values
        outputs: Tensor = self.out_proj(rearrange(attended, "b h n e -> b n (h e)"))
        return outputs


class MixerMDU(LayerStack):
    """MDU `mixer`: MLPs that mix the read tokens, then the channels of each.

    Args:
        dim: Width of a token, d.
        num_tokens: Read tokens, u * r; the token MLP is 6 times as wide.
        depth: Layers.
        mlp_ratio: Width of the channel MLP, in d.
        dropout: Dropout after each MLP, in [0, 1).
        share_layers: Whether one layer is applied `depth` times (published).
        drop_path: Share of the volumes that skip a layer in training; see `LayerStack`.

    Source: MDU of the paper; MLP-Mixer, arXiv 2105.01601. The published code sizes the
    token MLP for r tokens and so breaks on 3r, and starts the second residual from the
    block's input.
    """

    def __init__(
        self,
        *,
        dim: int,
        num_tokens: int,
        depth: int,
        mlp_ratio: int,
        dropout: float,
        share_layers: bool,
        drop_path: float,
    ) -> None:
        super().__init__(
            lambda: _MixerLayer(dim, num_tokens, mlp_ratio, dropout),
            depth=depth,
            share_layers=share_layers,
            drop_path=drop_path,
            final=nn.LayerNorm(dim),
        )


class _MixerLayer(nn.Module):
    def __init__(self, dim: int, num_tokens: int, mlp_ratio: int, dropout: float) -> None:
        super().__init__()
        self.token_norm = nn.LayerNorm(dim)
        # A bias per token would shift all its channels, which every LayerNorm cancels.
        self.mix_tokens = _mlp(num_tokens, 6 * num_tokens, dropout, bias=False)
        self.channel_norm = nn.LayerNorm(dim)
        self.mix_channels = _mlp(dim, mlp_ratio * dim, dropout, bias=True)

    def forward(self, tokens: Tensor) -> Tensor:
        mixed = self.mix_tokens(self.token_norm(tokens).transpose(1, 2))
        tokens = tokens + mixed.transpose(1, 2)
        changes: Tensor = self.mix_channels(self.channel_norm(tokens))
        return tokens + changes


def _mlp(width: int, hidden: int, dropout: float, *, bias: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, hidden),
        nn.GELU(),
        nn.Linear(hidden, width, bias=bias),
        Dropout(dropout),
    )


class MLPMDU(LayerStack):
    """MDU `mlp`: a two-layer perceptron on each read token by itself.

    Args:
        dim: Width of a token, d.
        depth: Layers.
        mlp_ratio: Width of the hidden layer, in d.
        dropout: Dropout of the hidden layer and of the output, in [0, 1).
        share_layers: Whether one layer is applied `depth` times.
        drop_path: Share of the volumes that skip a layer in training; see `LayerStack`.

    Source: MDU of the paper: Linear, dropout, GELU, Linear, GELU, dropout. The published
    layers have no residual sum; these have one.
    """

    def __init__(
        self,
        *,
        dim: int,
        depth: int,
        mlp_ratio: int,
        dropout: float,
        share_layers: bool,
        drop_path: float,
    ) -> None:
        super().__init__(
            lambda: _ResidualMLP(dim, mlp_ratio * dim, dropout),
            depth=depth,
            share_layers=share_layers,
            drop_path=drop_path,
            final=nn.Identity(),
        )


class _ResidualMLP(nn.Module):
    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dim, hidden),
            Dropout(dropout),
            nn.GELU(),
            nn.Linear(hidden, dim),
            nn.GELU(),
            Dropout(dropout),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        changes: Tensor = self.layers(tokens)
        return tokens + changes
