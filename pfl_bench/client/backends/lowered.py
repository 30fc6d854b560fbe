"""A recorded step by faster operations of the same meaning, whose last bits may be others.

So whoever lowers a step must always run it lowered (``TraceCache(lowered=True)``). Each operation stays one that treats
clients apart. What is exchanged are layouts: gradients of stacked weights arrive transposed and were copied, and
PyTorch's softmax along a last axis of ten numbers takes six times as long as along another one.
"""

import operator
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, fx

ATEN = torch.ops.aten

NARROW = 15
"""Classes up to which softmax is faster along an axis that is not the last: fewer than fill a vector register. Measured
forward for 50 x 16 samples, one core: 10 classes 124 us along the last axis and 19 along another, 16 classes 13 and
28, 62 classes 34 and 96."""

BIG = 2**13
"""Numbers of a client's matrix from which its product with a vector is exchanged. Measured for 25 clients, one core:
4096 x 20 as a row times the matrix 0.25 ms and as the matrix times a column 3.8; 4096 x 128 as an outer product 1.3 of
elements and 7.5 as a product of matrices (10 clients). On small ones nothing is gained."""

LINE = 16
"""Numbers of a cache line. The last bits of a row times a matrix depend on company where the matrix does not lie in
memory by rows of whole lines."""

_MAKERS = frozenset((ATEN.ones_like.default, ATEN.zeros_like.default, ATEN.new_zeros.default, ATEN.new_ones.default))
"""Operations whose result is the same at every call."""


def lower(graph: fx.Graph, constants: dict[str, Tensor], changes: bool = False) -> None:
    """Exchange operations of a graph; ``constants`` may grow. ``changes``: something that the graph made is written in
    place (backward passes of norms do so); then only what numbers independent of company take is exchanged, which
    reads and makes memory where the operation did.

    Nodes have ``meta["made"]``, the tensor that the operation gave when it was recorded.
    """
    for rule in (_lines_of_product,) if changes else _RULES:
        for node in list(graph.nodes):
            if node.op == "call_function":
                rule(graph, node)
        graph.eliminate_dead_code()
    if not changes:
        _keep_constants(graph, constants)
        graph.eliminate_dead_code()


def _axes(node: fx.Node) -> tuple[int, ...] | None:
    """Which axes a node swaps; None if it is no transposition."""
    if node.op != "call_function" or node.target is not ATEN.transpose.int:
        return None
    dims = node.meta["made"].dim()
    return tuple(sorted(int(axis) % dims for axis in node.args[1:3]))  # type: ignore[arg-type]


def _twice_transposed(graph: fx.Graph, node: fx.Node) -> None:
    axes = _axes(node)
    if axes is not None and axes == _axes(_first(node)):
        node.replace_all_uses_with(_first(_first(node)))


def _transposed_product(graph: fx.Graph, node: fx.Node) -> None:
    """(A B)^T as B^T A^T: in the order of memory in which it is wanted, so that a copy into that order is needless."""
    product = _first(node) if _axes(node) == (1, 2) else None
    if product is None or product.target is not ATEN.bmm.default or len(product.users) > 1:
        return
    with graph.inserting_before(node):
        left, right = (_transposed(graph, side, 1, 2) for side in reversed(product.args))  # type: ignore[arg-type]
        made = _insert(graph, ATEN.bmm.default, (left, right), node.meta["made"].contiguous())
    copies = [user for user in node.users if user.target is ATEN.clone.default]
    for copy in copies if len(copies) == len(node.users) == 1 else ():
        copy.replace_all_uses_with(made)
    node.replace_all_uses_with(made)


def _thin_product(graph: fx.Graph, node: fx.Node) -> None:
    """A big matrix times a column as a row times the matrix, and a column times a row, where that is a big matrix, as
    what it is, a product without sums."""
    if node.target is not ATEN.bmm.default:
        return
    left, right = node.args
    assert isinstance(left, fx.Node) and isinstance(right, fx.Node)
    rows, columns = node.meta["made"].shape[1:]
    inner = left.meta["made"].shape[2]
    if max(rows * inner, rows * columns) < BIG:
        return
    with graph.inserting_before(node):
        if inner == 1:
            node.replace_all_uses_with(_insert(graph, ATEN.mul.Tensor, (left, right), node.meta["made"]))
        elif columns == 1 and rows % LINE == 0 and left.meta["made"].stride(1) == 1:
            turned = (_transposed(graph, right, 1, 2), _transposed(graph, left, 1, 2))
            made = _insert(graph, ATEN.bmm.default, turned, node.meta["made"].transpose(1, 2).contiguous())
            node.replace_all_uses_with(_transposed(graph, made, 1, 2))


def _lines_of_product(graph: fx.Graph, node: fx.Node) -> None:
    """A product of matrices whose last bits depend on company, because a client's result does not begin with a line of
    memory, with more columns: by zeros, which are cut off again.

    By a scan of sizes from 1 to 1000 (MKL, AVX-512) it is so for single columns, and where the rows are no multiple of
    16 and the columns none of 4; also for a single row times a matrix where both lie in memory by columns.
    """
    if node.target is not ATEN.bmm.default:
        return
    (_, rows, columns), (left, right) = node.meta["made"].shape, node.args
    assert isinstance(left, fx.Node) and isinstance(right, fx.Node)
    turned = rows == 1 and all(side.meta["made"].stride(1) == 1 for side in (left, right))
    if columns != 1 and (rows % LINE == 0 or columns % 4 == 0) and not turned:
        return
    missing = -columns % LINE or LINE
    with graph.inserting_before(node):
        wide = F.pad(right.meta["made"], (0, missing))
        more = _insert(graph, ATEN.constant_pad_nd.default, (right, [0, missing]), wide)
        product = node.meta["made"]
        made = _insert(graph, ATEN.bmm.default, (node.args[0], more), F.pad(product, (0, missing)))
        cut = _insert(graph, ATEN.slice.Tensor, (made, 2, 0, columns), product)
        node.replace_all_uses_with(_insert(graph, _whole, (cut,), product))


def _whole(tensor: Tensor) -> Tensor:
    return tensor.contiguous()


def _narrow_softmax(graph: fx.Graph, node: fx.Node) -> None:
    if node.target is not ATEN._log_softmax.default or not _narrow(node, node.args[1]):
        return
    last = node.meta["made"].dim() - 1
    with graph.inserting_before(node):
        turned = _transposed(graph, _first(node), last - 1, last)
        made = node.meta["made"].transpose(-1, -2)
        found = _insert(graph, node.target, (turned, last - 1, node.args[2]), made)
        node.replace_all_uses_with(_transposed(graph, found, last - 1, last))


def _narrow_softmax_backward(graph: fx.Graph, node: fx.Node) -> None:
    if node.target is not ATEN._log_softmax_backward_data.default or not _narrow(node, node.args[2]):
        return
    last = node.meta["made"].dim() - 1
    with graph.inserting_before(node):
        turned = [_transposed(graph, side, last - 1, last) for side in node.args[:2]]  # type: ignore[arg-type]
        made = node.meta["made"].transpose(-1, -2)
        found = _insert(graph, node.target, (*turned, last - 1, node.args[3]), made)
        node.replace_all_uses_with(_transposed(graph, found, last - 1, last))


def _narrow(node: fx.Node, axis: object) -> bool:
    made: Tensor = node.meta["made"]
    return made.dim() > 1 and axis in (-1, made.dim() - 1) and made.shape[-1] <= NARROW


def _keep_constants(graph: fx.Graph, constants: dict[str, Tensor]) -> None:
    """What is made anew each time and always the same, once; but not what the caller gets and might write to."""
    for node in list(graph.nodes):
        if node.op == "call_function" and node.target in _MAKERS and not _leaves(node):
            name = f"kept_{len(constants)}"
            constants[name] = node.meta["made"]
            with graph.inserting_before(node):
                node.replace_all_uses_with(graph.get_attr(name))


def _leaves(node: fx.Node) -> bool:
    """Whether memory of a node is among what the graph returns."""
    return any(user.op == "output" or (_shares(user) and _leaves(user)) for user in node.users)


def _shares(node: fx.Node) -> bool:
    """Whether a node's result may be memory of what it is given: a view, or a part of several."""
    if node.target in (operator.getitem, ATEN._unsafe_view.default):
        return True
    schema = getattr(node.target, "_schema", None)
    return schema is None or any(returned.alias_info is not None for returned in schema.returns)


_RULES = (
    _twice_transposed, _transposed_product, _thin_product, _narrow_softmax, _narrow_softmax_backward, _twice_transposed,
    _lines_of_product,
)  # fmt: skip


def _first(node: fx.Node) -> fx.Node:
    found = node.args[0]
    assert isinstance(found, fx.Node)
    return found


def _transposed(graph: fx.Graph, node: fx.Node, one: int, other: int) -> fx.Node:
    return _insert(graph, ATEN.transpose.int, (node, one, other), node.meta["made"].transpose(one, other))


def _insert(graph: fx.Graph, target: Callable[..., object], args: tuple[object, ...], made: Tensor) -> fx.Node:
    node = graph.call_function(target, args)  # type: ignore[arg-type]
    node.meta["made"] = made
    return node
