"""The Memory Distillation Unit: what turns read tokens into output tokens."""

from torch import Tensor, nn


class TransformerMDU(nn.Module):
    """MDU `transformer`: self-attention among the read tokens of one volume.

    Args:
        dim: Width of a token, d; a multiple of num_heads.
        depth: Layers that the tokens pass.
        num_heads: Attention heads.
        mlp_ratio: Width of the feed-forward layer, in d.
        dropout: Dropout within a layer, in [0, 1).
        norm: `post` (published: LayerNorm after each residual sum, ReLU) or `pre`
            (LayerNorm before each block and one at the end, GELU).
        share_layers: One layer's weights serve all `depth` passes (published).

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
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(
                f"dim must be divisible by num_heads, got dim={dim}, num_heads={num_heads}"
            )
        self.passes = depth if share_layers else 1
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim,
                num_heads,
                dim_feedforward=mlp_ratio * dim,
                dropout=dropout,
                activation="gelu" if norm == "pre" else "relu",
                norm_first=norm == "pre",
                batch_first=True,
            )
            for _ in range(1 if share_layers else depth)
        )
        self.final_norm = nn.LayerNorm(dim) if norm == "pre" else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps read tokens `(b n d)` to output tokens `(b n d)`, for any n."""
        for _ in range(self.passes):
            for layer in self.layers:
                tokens = layer(tokens)
        return self.final_norm(tokens)
