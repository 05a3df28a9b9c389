"""The Memory Distillation Unit, which maps read tokens to output tokens."""

from collections.abc import Callable

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
        check_heads(dim, num_heads)
        super().__init__(
            lambda: _transformer_layer(dim, num_heads, mlp_ratio, dropout, norm),
            depth=depth,
            share_layers=share_layers,
            drop_path=drop_path,
            final=nn.LayerNorm(dim) if norm == "pre" else nn.Identity(),
        )


def _transformer_layer(
    dim: int, num_heads: int, mlp_ratio: int, dropout: float, norm: str
) -> nn.TransformerEncoderLayer:
    layer = nn.TransformerEncoderLayer(
        dim,
        num_heads,
        dim_feedforward=mlp_ratio * dim,
        dropout=dropout,
        activation=_gelu if norm == "pre" else "relu",
        norm_first=norm == "pre",
        batch_first=True,
    )
    layer.dropout, layer.dropout1, layer.dropout2 = (Dropout(dropout) for _ in range(3))
    return layer


def _gelu(tokens: Tensor) -> Tensor:
    """GELU by a name that torch does not know.

    Torch's fused inference path, which it takes for its own, computes the approximation by tanh on
    CUDA, so that a model would be scored by another function than it was trained with.
    """
    return F.gelu(tokens)


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
