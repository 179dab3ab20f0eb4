"""What annotating by an encoder-decoder costs: InstructCell's layout at random weights.

Its answers mean nothing and are not looked at; only the time it takes does. Shapes follow
InstructCell (arXiv 2501.08187): an MLP of the whole profile into 6 tokens, 8 queries, T5-base.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

GENES = 18_961
TOKENS, WIDTH, QUERIES, LAYERS = 6, 768, 8, 4
PROMPT_TOKENS = 48
ANSWER_TOKENS = 4


class _CellTokens(nn.Module):
    """Profiles ``(B, G)`` to the query outputs ``(B, 8, 768)``."""

    def __init__(self, n_genes: int) -> None:
        super().__init__()
        hidden = TOKENS * WIDTH
        self.mlp = nn.ModuleList(
            [nn.Linear(n_genes, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)]
        )
        self.queries = nn.Parameter(torch.randn(QUERIES, WIDTH) * 0.02)
        layer = nn.TransformerDecoderLayer(
            WIDTH, 12, 4 * WIDTH, batch_first=True, activation="gelu"
        )
        self.reader = nn.TransformerDecoder(layer, LAYERS)

    def forward(self, profiles_BG: Tensor) -> Tensor:
        hidden = nn.functional.gelu(self.mlp[0](profiles_BG))
        for linear in self.mlp[1:]:
            hidden = hidden + nn.functional.gelu(linear(hidden))
        tokens = hidden.view(len(hidden), TOKENS, WIDTH)
        return self.reader(self.queries.expand(len(hidden), -1, -1), tokens)


def make_annotator(n_genes: int = GENES, *, seed: int = 0) -> Callable[[np.ndarray], Sequence[int]]:
    """A function from profiles ``(B, G)``, log1p counts per 10,000, to an answer token each."""
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(seed)
    config = T5Config(d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12)
    model = T5ForConditionalGeneration(config).eval()
    cell = _CellTokens(n_genes).eval()
    start = int(config.pad_token_id or 0)

    @torch.inference_mode()
    def annotate(profiles: np.ndarray) -> Sequence[int]:
        size = len(profiles)
        prompt = torch.full((size, PROMPT_TOKENS), 5)
        embedded = torch.cat(
            [model.get_input_embeddings()(prompt), cell(torch.from_numpy(profiles))], dim=1
        )
        encoded = model.encoder(inputs_embeds=embedded)
        tokens, cache = torch.full((size, 1), start), None
        for _ in range(ANSWER_TOKENS):
            out = model(
                encoder_outputs=encoded,
                decoder_input_ids=tokens[:, -1:],
                past_key_values=cache,
                use_cache=True,
            )
            cache = out.past_key_values
            tokens = torch.cat([tokens, out.logits[:, -1].argmax(-1, keepdim=True)], dim=1)
        return [int(one) for one in tokens[:, -1]]

    return annotate
