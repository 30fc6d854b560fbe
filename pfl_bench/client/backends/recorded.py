"""A pure function of tensors as the operations that it performs: recorded once, then replayed without its Python.

The operations are those of the function itself, so results are equal to the last bit. ``make_fx`` records too, for
every kind of function; it loads two seconds' worth of modules first, and replays what changes nothing.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

Replay = Callable[..., Any]
"""``replay(*leaves)``: what the function gives for inputs with these leaves, in the structure that it gave."""

ATEN = torch.ops.aten

_VIEWS = frozenset((ATEN.detach.default, ATEN.expand.default, ATEN.view.default, ATEN._unsafe_view.default))
"""Operations that give their first input where the shape stays the same."""

_PRODUCTS = frozenset((ATEN.mul.Scalar, ATEN.mul.Tensor))


def _scale_(tensors: list[Tensor], by: Tensor) -> None:
    """What clipping does: mostly nothing, which needs no pass over memory."""
    if by.device.type != "cpu" or by.item() != 1:
        torch._foreach_mul_(tensors, by)


def _sgd_(params: list[Tensor], gradients: list[Tensor], buffers: list[Tensor], **figures: Any) -> None:
    """A step of SGD; who looks on (``engine.unchanged``) sees that something was written."""
    torch._fused_sgd_(params, gradients, buffers, **figures)
    torch.autograd.graph.increment_version([*params, *buffers])


_BY_NAME: dict[Any, Callable[..., Any]] = {
    ATEN._log_softmax.default: torch._log_softmax,
    ATEN._log_softmax_backward_data.default: torch._log_softmax_backward_data,
    ATEN._foreach_mul_.Tensor: _scale_,
    ATEN._foreach_norm.Scalar: torch._foreach_norm,
    ATEN._fused_sgd_.default: _sgd_,
    ATEN.add.Tensor: torch.add,
    ATEN.addmm.default: torch.addmm,
    ATEN.baddbmm.default: torch.baddbmm,
    ATEN.bmm.default: torch.bmm,
    ATEN.cat.default: torch.cat,
    ATEN.clamp.default: torch.clamp,
    ATEN.clone.default: torch.clone,
    ATEN.div.Tensor: torch.div,
    ATEN.exp.default: torch.exp,
    ATEN.gather.default: torch.gather,
    ATEN.linalg_vector_norm.default: torch.linalg.vector_norm,
    ATEN.mm.default: torch.mm,
    ATEN.mul.Tensor: torch.mul,
    ATEN.neg.default: torch.neg,
    ATEN.permute.default: torch.permute,
    ATEN.reciprocal.default: torch.reciprocal,
    ATEN.relu.default: torch.relu,
    ATEN.scatter_add.default: torch.scatter_add,
    ATEN.sqrt.default: torch.sqrt,
    ATEN.square.default: torch.square,
    ATEN.stack.default: torch.stack,
    ATEN.split_with_sizes.default: torch.split_with_sizes,
    ATEN.squeeze.dims: torch.squeeze,
    ATEN.sub.Tensor: torch.sub,
    ATEN.sum.default: torch.sum,
    ATEN.sum.dim_IntList: torch.sum,
    ATEN.t.default: torch.t,
    ATEN.transpose.int: torch.transpose,
    ATEN.unsqueeze.default: torch.unsqueeze,
}
"""The same operations by names that Python reaches faster, with the same arguments."""

_METHODS = {ATEN.view.default: "view", ATEN._unsafe_view.default: "view", ATEN.expand.default: "expand"}


class UnrecordableError(Exception):
    """What a function does depends on the values of tensors."""


Lowering = Callable[[fx.Graph, dict[str, Tensor], bool], None]
"""Exchanges operations of a graph; the last argument: whether something is written in place. See ``lowered``."""


def record(function: Callable[..., Any], trees: tuple[Any, ...], lower: Lowering | None = None) -> tuple[Any, Replay]:
    """``function(*trees)`` and how to have it again. ``lower``: by other operations; then the first is so too. What
    writes into what it is given, or into what was there before, stays as it is.

    UnrecordableError where that would not be the same function, and what the function raises; then what it wrote in
    place is put back, so that it can be called as if for the first time.
    """
    leaves, structure = pytree.tree_flatten(trees)
    inputs = [leaf.detach() if isinstance(leaf, Tensor) else leaf for leaf in leaves]  # each an object of its own
    before = [leaf.clone() if isinstance(leaf, Tensor) else None for leaf in inputs]
    recorder = _Recorder(inputs)
    try:
        with recorder:
            found = function(*pytree.tree_unflatten(inputs, structure))
    except BaseException:
        if recorder.changes:
            for leaf, kept in zip(inputs, before, strict=True):
                if kept is not None:
                    leaf.copy_(kept)
        raise
    given, shape = pytree.tree_flatten(found)
    nodes = [recorder.node_of(leaf) if isinstance(leaf, Tensor) else leaf for leaf in given]
    simple = _is_simple(found)
    recorder.graph.output(pytree.tree_unflatten(nodes, shape) if simple else nodes)
    _prune(recorder.graph, aliases=not recorder.changes)
    lowered = lower is not None and not recorder.writes_outside()
    if lower is not None and lowered:
        lower(recorder.graph, recorder.constants, recorder.changes)
    _rename(recorder.graph)
    for node in recorder.graph.nodes:
        node.meta.clear()  # it holds tensors
    forward = _compiled(recorder.graph, recorder.constants)
    replay: Replay = forward if simple else lambda *inputs: pytree.tree_unflatten(forward(*inputs), shape)
    return replay(*inputs) if lowered else found, replay


def _compiled(graph: fx.Graph, constants: dict[str, Tensor]) -> Replay:
    """A graph as a Python function. ``fx.GraphModule`` makes one too, which looks its constants up as a module does."""
    code = graph.python_code("self")
    names: dict[str, Any] = dict(code.globals)
    exec(code.src, names)
    return partial(names["forward"], SimpleNamespace(**constants))


def _is_simple(tree: Any) -> bool:
    """Whether a graph can give such a tree by itself."""
    if type(tree) is dict:
        return all(_is_simple(value) for value in tree.values())
    return all(map(_is_simple, tree)) if type(tree) in (tuple, list) else tree is None or isinstance(tree, Tensor)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes every operation on tensors into a graph, below autograd and ``vmap``.

    ``constants``: tensors that were there before and are no inputs. ``changes``: whether anything is written in place.
    """

    def __init__(self, inputs: Sequence[Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = fx.Graph()
        self.constants: dict[str, Tensor] = {}
        self.changes = False
        self._nodes: dict[int, fx.Node] = {}
        self._given = {_memory(leaf) for leaf in inputs if isinstance(leaf, Tensor)}
        self._written: set[int] = set()
        self._alive: list[Tensor] = []  # so that no tensor gets the identity of another
        for number, leaf in enumerate(inputs):
            self._enter(leaf, self.graph.placeholder(f"input_{number}"))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """The compiler is not in use here; asking it to leave this alone would load it, for two seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.is_mutable:
            self.changes = True
            self._written |= _memory_written(func._schema, args, kwargs or {})
        found = func(*args, **(kwargs or {}))
        if not all(leaf is None or isinstance(leaf, Tensor) for leaf in pytree.tree_leaves(found)):
            raise UnrecordableError(f"{func} reads a tensor's value")
        taken, named = pytree.tree_map_only(Tensor, self.node_of, (args, kwargs or {}))
        node = self.graph.call_function(func, taken, named)
        node.meta["idle"] = _is_idle(func, args, found)
        self._enter(found, node)
        return found

    def _enter(self, found: Any, node: fx.Node) -> None:
        if isinstance(found, Tensor):
            node.meta["made"] = found
            self._nodes[id(found)] = node
            self._alive.append(found)
        elif isinstance(found, tuple | list):
            for position, each in enumerate(found):
                self._enter(each, self.graph.call_function(operator.getitem, (node, position)))

    def writes_outside(self) -> bool:
        """Whether anything is written to that the function did not make itself."""
        return not self._written.isdisjoint(self._given | {_memory(tensor) for tensor in self.constants.values()})

    def node_of(self, tensor: Tensor) -> fx.Node:
        """Where the graph has a tensor."""
        if id(tensor) not in self._nodes:
            name = f"constant_{len(self.constants)}"
            self.constants[name] = tensor
            self._enter(tensor, self.graph.get_attr(name))
        return self._nodes[id(tensor)]


def _memory(tensor: Tensor) -> int:
    """Equal for tensors that share memory."""
    return tensor.untyped_storage().data_ptr()


def _memory_written(schema: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> set[int]:
    """The memory of what an operation writes to."""
    given = dict(zip((argument.name for argument in schema.arguments), args, strict=False)) | dict(kwargs)
    written = [
        given.get(argument.name)
        for argument in schema.arguments
        if argument.alias_info and argument.alias_info.is_write
    ]
    return {_memory(leaf) for leaf in pytree.tree_leaves(written) if isinstance(leaf, Tensor)}


def _is_idle(func: Any, args: Sequence[Any], found: Any) -> bool:
    """Whether an operation gives the values that it was given, in the same shape."""
    given = args[0] if args else None
    if not (isinstance(given, Tensor) and isinstance(found, Tensor)):
        return False
    if (given.shape, given.dtype) != (found.shape, found.dtype):
        return False
    return func in _VIEWS or (func in _PRODUCTS and isinstance(args[1], int | float) and args[1] == 1)


def _prune(graph: fx.Graph, *, aliases: bool) -> None:
    """Leave out what is idle (views; ``aliases``: nothing is written in place, so a copy and its source may be one too)
    or not needed."""
    for node in graph.nodes:
        if node.meta.get("idle") and (aliases or node.target in _VIEWS):
            node.replace_all_uses_with(node.args[0])
    graph.eliminate_dead_code()


def _rename(graph: fx.Graph) -> None:
    """Reach operations by the way that costs Python least. Last: by another name nothing tells that one writes in
    place."""
    for node in graph.nodes:
        if node.target in _METHODS:
            node.op, node.target = "call_method", _METHODS[node.target]
        elif node.op == "call_function":
            node.target = _BY_NAME.get(node.target, node.target)
