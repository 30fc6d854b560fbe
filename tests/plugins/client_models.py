"""Client models beyond the built-in ones, sound and unsound, and small data sets for them."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from pfl_bench.api import make_dataset, register_dataset, register_model

# Sound


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride, norm):
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), norm(outputs)
        self.c2, self.n2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), norm(outputs)
        shrinks = stride > 1 or inputs != outputs
        cut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))
        self.short = cut if shrinks else nn.Identity()

    def forward(self, x):
        return F.relu(self.n2(self.c2(F.relu(self.n1(self.c1(x))))) + self.short(x))


class ResNet8(nn.Module):
    def __init__(self, shape, classes, norm):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(shape[0], 8, 3, 1, 1, bias=False), norm(8), nn.ReLU())
        self.l1, self.l2, self.l3 = Block(8, 8, 1, norm), Block(8, 16, 2, norm), Block(16, 32, 2, norm)
        self.head = nn.Linear(32, classes)

    def features(self, x):
        return self.l3(self.l2(self.l1(self.stem(x)))).mean((2, 3))

    def forward(self, x):
        return self.head(self.features(x))


@register_model("resnet8_gn")
def resnet8_gn(shape, classes):
    return ResNet8(shape, classes, lambda channels: nn.GroupNorm(4, channels))


@register_model("resnet8_bn")
def resnet8_bn(shape, classes):
    return ResNet8(shape, classes, nn.BatchNorm2d)


@register_model("resnet8_bn_stateless")
def resnet8_bn_stateless(shape, classes):
    return ResNet8(shape, classes, lambda channels: nn.BatchNorm2d(channels, track_running_stats=False))


@register_model("resnet8_frozen_stem")
def resnet8_frozen_stem(shape, classes):
    made = ResNet8(shape, classes, lambda channels: nn.GroupNorm(4, channels))
    made.stem.requires_grad_(False)
    return made


class DropMlp(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 64), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Linear(64, classes)

    def forward(self, x):
        return self.head(self.body(x))


@register_model("mlp_dropout")
def mlp_dropout(shape, classes):
    return DropMlp(shape, classes)


@register_model("conv_dropout")
def conv_dropout(shape, classes):
    size = 8 * (shape[1] - 2) * (shape[2] - 2)
    conv = nn.Conv2d(shape[0], 8, 3)
    return nn.Sequential(conv, nn.Dropout2d(0.3), nn.ReLU(), nn.Flatten(), nn.Linear(size, classes))


class FunctionalDropout(DropMlp):
    def features(self, x):
        return F.dropout(self.body[:3](x), 0.5, self.training)

    def forward(self, x):
        return self.head(self.features(x))


@register_model("mlp_functional_dropout")
def mlp_functional_dropout(shape, classes):
    return FunctionalDropout(shape, classes)


class Text(nn.Module):
    """Byte tokens: a data set with mean 0 and deviation 1/255 leaves them whole."""

    def __init__(self, classes, kind, dropout=0.0):
        super().__init__()
        self.kind, self.embed = kind, nn.Embedding(256, 8)
        self.mixer = (
            nn.LSTM(8, 32, batch_first=True)
            if kind == "lstm"
            else nn.TransformerEncoderLayer(8, 2, 32, batch_first=True, dropout=dropout)
        )
        self.head = nn.Linear(32 if kind == "lstm" else 8, classes)

    def features(self, x):
        tokens = self.embed(x.flatten(1).round().long().clamp(0, 255))
        return self.mixer(tokens)[0][:, -1] if self.kind == "lstm" else self.mixer(tokens).mean(1)

    def forward(self, x):
        return self.head(self.features(x))


@register_model("text_lstm")
def text_lstm(shape, classes):
    return Text(classes, "lstm")


@register_model("text_transformer")
def text_transformer(shape, classes):
    return Text(classes, "transformer")


@register_model("text_transformer_dropout")
def text_transformer_dropout(shape, classes):
    return Text(classes, "transformer", dropout=0.1)


class Conv1d(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.conv, self.head = nn.Conv1d(shape[0] * shape[1], 16, 3), nn.Linear(16, classes)

    def features(self, x):
        return F.relu(self.conv(x.flatten(1, 2))).mean(-1)

    def forward(self, x):
        return self.head(self.features(x))


@register_model("sensor_conv1d")
def sensor_conv1d(shape, classes):
    return Conv1d(shape, classes)


# Unsound


class Headless(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.fc = nn.Linear(int(np.prod(shape)), classes)

    def forward(self, x):
        return self.fc(x.flatten(1))


@register_model("bad_headless")
def bad_headless(shape, classes):
    return Headless(shape, classes)


@register_model("bad_output")
def bad_output(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), classes + 1))


class WideFeatures(ResNet8):
    def features(self, x):
        return self.l3(self.l2(self.l1(self.stem(x)))).mean(3).permute(0, 2, 1)

    def forward(self, x):
        return self.head(self.features(x)).mean(1)


@register_model("bad_features")
def bad_features(shape, classes):
    return WideFeatures(shape, classes, lambda channels: nn.GroupNorm(4, channels))


class AnotherForward(DropMlp):
    def forward(self, x):
        return 2 * self.head(self.body(x))


@register_model("bad_halves")
def bad_halves(shape, classes):
    return AnotherForward(shape, classes)


class OwnNoise(DropMlp):
    def forward(self, x):
        z = self.body(x)
        return self.head(z + 0.1 * torch.randn_like(z) if self.training else z)


@register_model("bad_noise")
def bad_noise(shape, classes):
    return OwnNoise(shape, classes)


class NoiseInUse(DropMlp):
    def features(self, x):
        z = self.body(x)
        return z + 0.1 * torch.randn_like(z)

    def forward(self, x):
        return self.head(self.features(x))


@register_model("bad_noise_in_use")
def bad_noise_in_use(shape, classes):
    return NoiseInUse(shape, classes)


@register_model("bad_momentum")
def bad_momentum(shape, classes):
    return ResNet8(shape, classes, lambda channels: nn.BatchNorm2d(channels, momentum=None))


class Unused(DropMlp):
    def __init__(self, shape, classes):
        super().__init__(shape, classes)
        self.spare = nn.Linear(3, 3)


@register_model("bad_unused")
def bad_unused(shape, classes):
    return Unused(shape, classes)


class BatchMean(DropMlp):
    def features(self, x):
        z = self.body(x)
        return z - z.mean(0)

    def forward(self, x):
        return self.head(self.features(x))


@register_model("bad_batch_mean")
def bad_batch_mean(shape, classes):
    return BatchMean(shape, classes)


# Data


def _arrays(images, labels, cut=120):
    return {
        "train_images": images[cut:],
        "train_labels": labels[cut:],
        "test_images": images[:cut],
        "test_labels": labels[:cut],
    }


@register_dataset("tokens")
def tokens(request):
    """600 sequences of 16 byte tokens; every third says the class."""
    rng = np.random.default_rng(0)
    labels, text = rng.integers(0, 4, 600), rng.integers(10, 200, (600, 16))
    text[:, ::3] = labels[:, None] + 1
    return make_dataset("tokens", _arrays(text.astype(np.uint8)[:, None, :], labels), mean=(0.0,), std=(1 / 255,))


@register_dataset("sensor_bytes")
def sensor_bytes(request):
    """Nine sensors over 32 points in time, quantised to bytes, sensors as rows of a picture."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 600)
    x = rng.standard_normal((600, 9, 32)) + np.eye(9)[labels][:, :, None]
    return make_dataset("sensor_bytes", _arrays((x * 25 + 128).clip(0, 255).astype(np.uint8), labels))
