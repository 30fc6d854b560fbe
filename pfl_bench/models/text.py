"""Client models for short texts as word numbers. Word 0 is padding: it adds nothing to any feature."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pfl_bench.api import InputSpec, register_model

WIDTHS, FILTERS = (3, 4, 5), 100


class TextMean(nn.Module):
    """The mean of the words' vectors, a linear layer, and a linear head (fastText, Joulin et al. 2017; PFLlib's has the
    layer in between too)."""

    def __init__(self, input: InputSpec, classes: int, size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(input.vocabulary, size)
        self.fc = nn.Linear(size, size)
        self.head = nn.Linear(size, classes)

    def features(self, x: Tensor) -> Tensor:
        """``[B, size]`` of texts ``[B, T]``; a text of padding alone has the features of a zero vector."""
        real = (x != 0).unsqueeze(-1).to(self.embedding.weight.dtype)
        mean = (self.embedding(x) * real).sum(1) / real.sum(1).clamp(min=1)
        found: Tensor = self.fc(mean)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]``."""
        logits: Tensor = self.head(self.features(x))
        return logits


class TextCnn(nn.Module):
    """Convolutions over three, four and five words, the greatest value of each filter, dropout, and a linear head
    (Kim 2014, its random variant, with vectors of 100 instead of 300 numbers)."""

    def __init__(self, input: InputSpec, classes: int, size: int) -> None:
        super().__init__()
        (length,) = input
        if length < max(WIDTHS):
            raise ValueError(f"texts of {length} words are too short; {max(WIDTHS)} is the least")
        self.embedding = nn.Embedding(input.vocabulary, size)
        self.convs = nn.ModuleList(nn.Conv1d(size, FILTERS, width) for width in WIDTHS)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(FILTERS * len(WIDTHS), classes)

    def features(self, x: Tensor) -> Tensor:
        """``[B, 300]`` of texts ``[B, T]``."""
        words = (self.embedding(x) * (x != 0).unsqueeze(-1)).mT
        greatest = [F.relu(conv(words).amax(-1)) for conv in self.convs]
        found: Tensor = self.dropout(torch.cat(greatest, dim=1))
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]``."""
        logits: Tensor = self.head(self.features(x))
        return logits


@register_model(
    "text-mean",
    inputs=("tokens",),
    summary="mean of word vectors of 32, a layer, head (10,000 words, 4 classes: 321,188 weights)",
)
def text_mean(input: InputSpec, classes: int) -> nn.Module:
    """PFLlib's ``fastText``."""
    return TextMean(input, classes, 32)


@register_model(
    "text-cnn",
    inputs=("tokens",),
    summary="convolutions over 3, 4 and 5 words, dropout, head (10,000 words, 4 classes: 1,121,504 weights)",
)
def text_cnn(input: InputSpec, classes: int) -> nn.Module:
    """Kim's network."""
    return TextCnn(input, classes, 100)
