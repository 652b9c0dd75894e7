import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch_rule
from model_table import MODELS
from safetensors.numpy import save_file

from jaxd2l.data import DataError
from jaxd2l.interop.torch import from_torch, load_torch, read_state_dict, save_torch, to_torch, torch_shapes
from jaxd2l.nn import BatchNorm
from jaxd2l.nn.models import AlexNet, LeNet

SHAPE = (28, 28, 1)
LENET_BN = LeNet(padding=0, normalisation=BatchNorm)


def state_of(network, shape=SHAPE):
    return {name: torch_rule.weight(name, size) for name, size in torch_shapes(network, shape).items()}


@pytest.mark.parametrize("name", ["mlp", "dropout_mlp", "lenet_bn", "densenet", "conv3d", "resnet50"])
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


@pytest.mark.parametrize("name", MODELS)
def test_converted_trees_are_exactly_those_of_the_network(name):
    entry = MODELS[name]
    network, shape = entry.small or entry.network, torch_rule.CASES[name].input_shape
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    want = jax.eval_shape(lambda x: network.init(jax.random.key(0), x, train=False), x)
    zeros = {key: np.broadcast_to(np.float32(0), size) for key, size in torch_shapes(network, shape).items()}
    params, batch_stats = jax.eval_shape(lambda: from_torch(network, zeros, shape))
    chex.assert_trees_all_equal_shapes_and_dtypes((params, batch_stats), (want["params"], want.get("batch_stats", {})))


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


def test_trees_of_another_network_are_refused_with_all_differences():
    params, _ = from_torch(LeNet(), state_of(LeNet()), SHAPE)
    wrong = dict(params) | {"Dense_3": params["Dense_2"]}
    del wrong["Conv_0"]
    with pytest.raises(DataError, match=r"params/Conv_0/kernel: missing.*params/Dense_3/bias: unexpected"):
        to_torch(LeNet(), wrong, {}, SHAPE)


def test_network_without_known_names_is_refused():
    from jaxd2l.nn import LayerNorm

    with pytest.raises(ValueError, match="no PyTorch names"):
        torch_shapes(LeNet(normalisation=LayerNorm), SHAPE)


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
