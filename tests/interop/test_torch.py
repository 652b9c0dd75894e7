import pickle
from collections.abc import Callable

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch_rule
from model_table import MODELS, ONE_OF_EACH, quick_first
from safetensors.numpy import save_file

from jaxd2l.data import DataError
from jaxd2l.interop.torch import from_torch, load_torch, read_state_dict, save_torch, to_torch, torch_shapes
from jaxd2l.nn import BatchNorm, Conv, Dense, flatten, relu
from jaxd2l.nn.models import AlexNet, LeNet
from jaxd2l.train.called import called_with_train

SHAPE = (28, 28, 1)
LENET_BN = LeNet(padding=0, normalisation=BatchNorm)


def state_of(network, shape=SHAPE):
    return {name: torch_rule.weight(name, size) for name, size in torch_shapes(network, shape).items()}


@pytest.mark.parametrize("name", quick_first(["mlp", "dropout_mlp", "lenet_bn", "densenet", "conv3d", "resnet50"]))
def test_weights_come_back_bit_for_bit(name):
    network = MODELS[name].small or MODELS[name].network
    shape = torch_rule.CASES[name].input_shape
    state = state_of(network, shape)
    params, batch_stats = from_torch(network, state, shape)
    back = to_torch(network, params, batch_stats, shape)
    counters = {key for key in back if key.endswith("num_batches_tracked")}
    assert counters == {key.replace("running_var", "num_batches_tracked") for key in state if "running_var" in key}
    chex.assert_trees_all_equal({key: back[key] for key in state}, state)
    assert all(value.flags["C_CONTIGUOUS"] for value in back.values())  # what torch and safetensors take


@pytest.mark.parametrize("name", quick_first(ONE_OF_EACH))
def test_converted_trees_are_exactly_those_of_the_network(name):
    entry = MODELS[name]
    network, shape = entry.small or entry.network, torch_rule.CASES[name].input_shape
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    want = jax.eval_shape(lambda x: network.init(jax.random.key(0), x, train=False), x)
    zeros = {key: np.broadcast_to(np.float32(0), size) for key, size in torch_shapes(network, shape).items()}
    params, batch_stats = jax.eval_shape(lambda: from_torch(network, zeros, shape))
    chex.assert_trees_all_equal_shapes_and_dtypes((params, batch_stats), (want["params"], want.get("batch_stats", {})))


@pytest.mark.slow
def test_names_are_those_of_the_book():
    assert list(torch_shapes(LeNet(), SHAPE))[::2] == [f"{i}.weight" for i in (0, 3, 7, 9, 11)]
    assert torch_shapes(AlexNet(), (224, 224, 1))["14.weight"] == (4096, 6400)


def test_first_dense_layer_reads_channels_first_rows():
    """The pixel (channel c, row h, column w) of the flattened image is column c*h*w of PyTorch's weight."""
    state = state_of(LENET_BN)
    params, _ = from_torch(LENET_BN, state, SHAPE)
    kernel = params["Dense_0"]["kernel"].reshape(4, 4, 16, 120)
    for c, h, w in ((0, 0, 1), (0, 1, 0), (1, 0, 0), (15, 3, 2)):
        np.testing.assert_array_equal(kernel[h, w, c], state["9.weight"][:, c * 16 + h * 4 + w])


def test_rectangular_images_convert_too():
    state = state_of(LeNet(), (28, 20, 3))
    params, stats = from_torch(LeNet(), state, (28, 20, 3))
    chex.assert_trees_all_equal(to_torch(LeNet(), params, stats, (28, 20, 3)), state)


def test_everything_wrong_is_listed_in_one_error():
    state = state_of(LeNet())
    state["9.weight"] = state["9.weight"].T
    state["3.bias"] = state["3.bias"].astype(np.int32)
    state["surplus"] = state.pop("0.weight")
    with pytest.raises(DataError) as error:
        from_torch(LeNet(), state, SHAPE)
    for part in (
        "0.weight: missing, expected shape (6, 1, 5, 5)",
        "surplus: unexpected, shape (6, 1, 5, 5)",
        "9.weight: shape (120, 84), expected (84, 120)",
        "3.bias: int32, expected floating point",
    ):
        assert part in str(error.value)


FLOATS = [np.float64, np.float32, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda dtype: np.dtype(dtype).name)
def test_every_float_becomes_float32_of_the_same_value_and_is_said(dtype):
    state = {name: a.astype(dtype) for name, a in state_of(LENET_BN).items()}
    remarks = []
    params, stats = from_torch(LENET_BN, state, SHAPE, on_remark=remarks.append)
    wide = from_torch(LENET_BN, {name: a.astype(np.float32) for name, a in state.items()}, SHAPE)
    chex.assert_trees_all_equal((params, stats), wide)
    told = {np.dtype(np.float32): [], np.dtype(np.float64): ["numbers are float64 and become float32, rounded"]}
    exactly = [f"numbers are {np.dtype(dtype)} and become float32, exactly"]
    assert remarks == told.get(np.dtype(dtype), exactly)


@pytest.mark.parametrize(
    "dtype", [np.int8, np.int64, np.uint8, bool, np.complex64, object], ids=lambda dtype: np.dtype(dtype).name
)
def test_what_is_no_floating_point_is_listed_by_name(dtype):
    state = {name: np.zeros(a.shape, dtype) for name, a in state_of(LeNet()).items()}
    with pytest.raises(DataError) as error:
        from_torch(LeNet(), state, SHAPE)
    for name in state:
        assert str(error.value).count(f" {name}: {np.dtype(dtype)}, expected floating point") == 1


WRAPPERS = ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "state_dict.", "net.0."]
WRAPPERS += ["state_dict.model._orig_mod.module.", "module.model._orig_mod.", "_orig_mod.model.module.backbone."]


@pytest.mark.parametrize("name", ["linear", "mlp", "lenet_bn"])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_what_a_wrapper_puts_before_all_names_is_taken_off_and_said_once(name, wrapper):
    network = MODELS[name].small or MODELS[name].network
    shape = torch_rule.CASES[name].input_shape
    state = state_of(network, shape)
    remarks = []
    counters = {"num_batches_tracked": np.array(3)}
    given = {wrapper + key: a for key, a in (state | counters).items()}
    found = from_torch(network, given, shape, on_remark=remarks.append)
    chex.assert_trees_all_equal(found, from_torch(network, state, shape))
    assert len(remarks) == 1
    first = next(iter(state))
    assert f"{wrapper}{first} as {first}" in remarks[0]


def test_layers_compiled_one_by_one_and_averaged_weights_are_taken_over():
    state = state_of(LeNet())
    compiled = {f"{name.split('.')[0]}._orig_mod.{name.split('.')[1]}": a for name, a in state.items()}
    averaged = {"n_averaged": np.array(7)} | {f"module.{name}": a for name, a in state.items()}
    for given in (compiled, averaged):
        chex.assert_trees_all_equal(from_torch(LeNet(), given, SHAPE), from_torch(LeNet(), state, SHAPE))


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod."])
def test_a_wrapper_around_some_names_only_is_refused_with_each_name_once(wrapper):
    state = state_of(LeNet())
    given = {wrapper * (i % 2) + name: a for i, (name, a) in enumerate(state.items())}
    with pytest.raises(DataError) as error:
        from_torch(LeNet(), given, SHAPE)
    for name, shape in list(torch_shapes(LeNet(), SHAPE).items())[1::2]:
        beside = f"{name}: missing, expected shape {shape}; nearest is {wrapper}{name}: unexpected, shape {shape}"
        assert str(error.value).count(beside) == 1
        assert str(error.value).count(f"{wrapper}{name}:") == 1


def test_a_wrapper_is_taken_off_before_a_missing_name_is_told():
    given = {f"module.{name}": a for name, a in state_of(LeNet()).items()}
    given["module.11.biass"] = given.pop("module.11.bias")
    with pytest.raises(DataError) as error:
        from_torch(LeNet(), given, SHAPE)
    listed = str(error.value).split(": ", 1)[1]
    assert listed.startswith("11.bias: missing, expected shape (10,); nearest is 11.biass: unexpected, shape (10,).")


def test_names_of_ones_own_stand_beside_those_of_the_same_shape():
    own = dict(zip(("0", "3", "7", "9", "11"), ("conv1", "conv2", "fc1", "fc2", "fc3"), strict=True))
    state = state_of(LeNet())
    given = {f"{own[name.split('.')[0]]}.{name.split('.')[1]}": a for name, a in reversed(state.items())}
    with pytest.raises(DataError) as error:
        from_torch(LeNet(), given, SHAPE)
    for name, a in state.items():
        theirs = f"{own[name.split('.')[0]]}.{name.split('.')[1]}"
        assert f"{name}: missing, expected shape {a.shape}; nearest is {theirs}: unexpected" in str(error.value)


def test_transposed_kernels_are_told_with_the_order_that_mends_them():
    state = state_of(LeNet())
    given = state | {"3.weight": state["3.weight"].transpose(2, 3, 1, 0), "9.weight": state["9.weight"].T}
    with pytest.raises(DataError) as error:
        from_torch(LeNet(), given, SHAPE)
    for name, order in (("3.weight", (3, 2, 0, 1)), ("9.weight", (1, 0))):
        shapes = f"{name}: shape {given[name].shape}, expected {state[name].shape}"
        assert f"{shapes}, so it is transposed: .transpose{order} gives" in str(error.value)
        np.testing.assert_array_equal(given[name].transpose(order), state[name])


@pytest.mark.parametrize("dtype", FLOATS[:4], ids=lambda dtype: np.dtype(dtype).name)
def test_numbers_that_are_not_finite_are_refused_with_how_many_and_where(dtype):
    state = {name: a.astype(dtype) for name, a in state_of(LeNet()).items()}
    state["3.weight"][2, 0, 1, 4] = state["3.weight"][1, 3, 0, 2] = np.nan
    state["7.bias"][5:8] = -np.inf
    total = sum(a.size for a in state.values())
    with pytest.raises(DataError) as error:
        from_torch(LeNet(), state, SHAPE)
    for part in (
        f"5 of {total:,} numbers are not finite",
        "3.weight has 2 NaN of 2,400, the first at (1, 3, 0, 2)",
        "7.bias has 3 infinite of 120, the first at (5,)",
    ):
        assert part in str(error.value)


def test_numbers_beyond_float32_are_refused_and_not_made_infinite():
    state = {name: a.astype(np.float64) for name, a in state_of(LeNet()).items()}
    state["11.bias"][[3, 7]] = 1e39, -1e300
    with pytest.raises(DataError, match=r"2 of .* too large: 11.bias has 2 beyond 3.4e\+38 .* of 10, .*\(3,\)"):
        from_torch(LeNet(), state, SHAPE)


def test_a_negative_variance_is_refused_and_any_other_negative_number_taken():
    state = state_of(LENET_BN)
    state["1.running_mean"][:] = -1
    from_torch(LENET_BN, state, SHAPE)
    state["1.running_var"][4] = -1e-9
    with pytest.raises(DataError, match=r"1 of .* negative variances: 1.running_var has 1 negative of 6, .*\(4,\)"):
        from_torch(LENET_BN, state, SHAPE)


def test_a_checkpoint_around_the_weights_and_a_tensor_off_the_host_are_told():
    with pytest.raises(DataError, match="mapping under 'state_dict': give that one"):
        from_torch(LeNet(), {"state_dict": state_of(LeNet()), "epoch": np.array(3)}, SHAPE)

    class Tensor:
        def __array__(self, *args, **kwargs):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")

    with pytest.raises(DataError, match=r"0.weight: no NumPy array can be made of it; give value.detach\(\)"):
        from_torch(LeNet(), {"0.weight": Tensor()}, SHAPE)


def test_weights_of_a_run_folder_are_told_apart_from_a_state_dict():
    with pytest.raises(DataError, match="those of a run folder, not a state_dict"):
        from_torch(LeNet(), {"params.Conv_0.kernel": np.zeros((5, 5, 1, 6), np.float32)}, SHAPE)


def test_trees_of_another_network_are_refused_with_all_differences():
    params, _ = from_torch(LeNet(), state_of(LeNet()), SHAPE)
    wrong = dict(params) | {"Dense_3": params["Dense_2"]}
    del wrong["Conv_0"]
    with pytest.raises(DataError, match=r"params/Conv_0/kernel is missing.*params/Dense_3/bias is not expected"):
        to_torch(LeNet(), wrong, {}, SHAPE)


def test_network_without_known_names_is_refused():
    from jaxd2l.nn import LayerNorm

    with pytest.raises(ValueError, match="no PyTorch names"):
        torch_shapes(LeNet(normalisation=LayerNorm), SHAPE)


def test_a_network_that_only_derives_from_one_of_the_book_has_no_known_names():
    class Deeper(LeNet):
        @nn.compact
        def __call__(self, x, *, train):
            return Dense(10)(Dense(7)(flatten(Conv(4, 3)(x))))

    class Smaller(LeNet):
        conv_features: tuple[int, ...] = (2, 3)
        conv_activation: Callable[[jax.Array], jax.Array] = relu

    for network in (Deeper(), called_with_train(Wrapped())):
        with pytest.raises(ValueError, match=r"no PyTorch names are known for (Deeper|Wrapped)\("):
            torch_shapes(network, SHAPE)
    assert torch_shapes(Smaller(), SHAPE) == torch_shapes(LeNet(conv_features=(2, 3)), SHAPE)


class Wrapped(nn.Module):
    @nn.compact
    def __call__(self, x):
        return LeNet()(x, train=False)


def test_safetensors_file_and_back(tmp_path):
    path = tmp_path / "lenet.safetensors"
    params, stats = from_torch(LENET_BN, state_of(LENET_BN), SHAPE)
    save_torch(path, LENET_BN, params, stats, SHAPE)
    chex.assert_trees_all_equal(load_torch(path, LENET_BN, SHAPE), (params, stats))


def test_weights_of_another_network_name_the_file(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"fc.weight": np.ones((3, 2), np.float32)}, path)
    with pytest.raises(DataError, match=r"other.safetensors.*0.weight: missing.*fc.weight: unexpected"):
        load_torch(path, LeNet(), SHAPE)


class Trap:
    ran = False

    def __reduce__(self):
        return (setattr, (Trap, "ran", True))


@pytest.mark.parametrize("protocol", [2, 5])
def test_pickle_is_refused_with_the_reason_and_nothing_runs(tmp_path, protocol):
    path = tmp_path / "net.pt"
    path.write_bytes(pickle.dumps(Trap(), protocol=protocol))
    with pytest.raises(DataError, match=r"pickle.*runs whatever code.*safetensors.torch.save_file"):
        read_state_dict(path)
    assert not Trap.ran


def test_zip_archive_of_torch_save_is_refused_as_a_pickle(tmp_path):
    path = tmp_path / "net.pt"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(DataError, match="pickle"):
        read_state_dict(path)


@pytest.mark.parametrize("content", [b"", b"not weights", bytes(8), b"\xff" * 64])
def test_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a safetensors file"):
        read_state_dict(path)
