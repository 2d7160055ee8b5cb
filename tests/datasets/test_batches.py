"""What `Dataset` serves: pixels as numbers, labels as indices, and each example once an epoch."""

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest

from miniflow.datasets import Dataset
from miniflow.datasets.augmentation import augmented
from miniflow.errors import DataError
from miniflow.options import OptionError


def numbered(count: int, **options: Any) -> Dataset:
    """Examples whose image and label both hold their number."""
    return Dataset(np.arange(count, dtype=np.float32)[:, None], np.arange(count), **options)


def labels_of(batches: Any) -> list[list[int]]:
    return [labels.tolist() for _, labels in batches]


# Images and labels --------------------------------------------------------------------------------


def test_every_byte_becomes_its_float32_quotient_by_255() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    images = Dataset(pixels).images
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, pixels / np.float32(255))
    assert images.min() == 0
    assert images.max() == 1


def test_bytes_are_converted_on_first_use_and_only_once() -> None:
    data = Dataset(np.zeros((2, 3), np.uint8), [0, 1])
    assert data._images._numbers is None
    assert repr(data)  # nor does looking at it convert
    assert data._images._numbers is None
    assert data.images is data.images


def test_threads_that_need_the_images_at_once_get_the_same_array() -> None:
    data, start, seen = Dataset(np.zeros((2000, 784), np.uint8)), threading.Barrier(8), []

    def look() -> None:
        start.wait()
        seen.append(data.images)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert all(images is seen[0] for images in seen)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_numbers_that_are_not_bytes_are_served_as_they_are_and_not_copied(dtype: type) -> None:
    given = np.arange(12).reshape(2, 2, 3).astype(dtype)
    data = Dataset(given)
    assert data.images.dtype == dtype
    assert data.images.shape == (2, 2, 3)
    assert np.shares_memory(data.images, given)
    assert data.image_shape == (2, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint16, np.int64, bool])
def test_whole_labels_are_served_as_int64(dtype: type) -> None:
    data = Dataset(np.zeros((2, 1)), np.array([0, 1], dtype))
    assert data.labels.dtype == np.int64
    assert data.labels.tolist() == [0, 1]


def test_labels_index_survive_the_labs_cast_and_do_not_wrap() -> None:
    labels = Dataset(np.zeros((3, 1)), np.array([9, 0, 3], np.uint8)).labels
    assert np.eye(10)[labels.astype(np.int8)].argmax(axis=1).tolist() == [9, 0, 3]
    assert (labels - 5).tolist() == [4, -5, -2]


def test_labels_with_fractions_are_served_as_they_are() -> None:
    targets = np.array([[0.5, 1.5], [2.5, -1]], np.float32)
    data = Dataset(np.zeros((2, 1)), targets)
    assert data.labels.dtype == np.float32
    np.testing.assert_array_equal(data.labels, targets)


def test_data_without_labels_have_none_in_every_batch() -> None:
    data = Dataset(np.arange(3.0))
    assert data.labels is None
    assert data.next_batch(2)[1] is None
    assert [labels for _, labels in data.batches(2)] == [None, None]
    assert [labels for _, labels in data.batches(2, rng=0)] == [None, None]


def test_shared_arrays_cannot_be_written_to_but_those_given_still_can() -> None:
    given = np.zeros((2, 2))
    data = Dataset(given, np.zeros(2))
    for array in (data.images, data.labels, next(data.batches(1))[0]):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1
    given[0, 0] = 1


def test_shuffled_batches_are_the_callers_own_to_change() -> None:
    data = numbered(4)
    for images, labels in (data.next_batch(4), next(data.batches(4, rng=0))):
        images += 1
        labels += 1
    assert data.images.ravel().tolist() == data.labels.tolist() == [0, 1, 2, 3]


def test_length_is_the_number_of_examples() -> None:
    assert len(numbered(7)) == numbered(7).num_examples == 7


def test_data_set_describes_itself() -> None:
    data = Dataset(np.zeros((2, 4), np.uint8), [0, 1])
    assert repr(data) == (
        "<Dataset: 2 examples, images uint8 (2, 4) served as float32, labels int64 (2,)>"
    )
    assert repr(Dataset(np.zeros(2))) == "<Dataset: 2 examples, images float64 (2,), no labels>"


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((3, 2)), [0, 1], "there are 3 images but 2 labels"),
        (np.zeros((0, 2)), [], r"the images have shape \(0, 2\): .* at least one example"),
        (np.float64(3), None, r"the images have shape \(\)"),
        (np.array([None, 1]), None, "the images must be real numbers, not of type object"),
        (np.zeros(2, complex), None, "the images must be real numbers, not of type complex128"),
        (np.zeros(2), ["a", "b"], "the labels must be real numbers, not of type <U1"),
        ([[1, 2], [3]], None, "the images are no array"),
    ],
)
def test_what_is_no_data_is_refused(images: Any, labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Dataset(images, labels)


# One pass -----------------------------------------------------------------------------------------


def test_pass_without_rng_keeps_the_order_and_ends_with_the_rest() -> None:
    assert labels_of(numbered(5).batches(2)) == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("n", [5, 6, 1000])
def test_batch_as_large_as_the_data_is_a_single_one(n: int) -> None:
    assert labels_of(numbered(5).batches(n)) == [[0, 1, 2, 3, 4]]


def test_shuffled_pass_holds_each_example_once_with_its_own_label() -> None:
    batches = list(numbered(103).batches(10, rng=0))
    assert [len(labels) for _, labels in batches] == [10] * 10 + [3]
    labels = np.concatenate([labels for _, labels in batches])
    images = np.concatenate([images for images, _ in batches])
    np.testing.assert_array_equal(images[:, 0], labels)
    assert labels.tolist() != list(range(103))
    assert sorted(labels.tolist()) == list(range(103))


def test_seed_gives_the_same_order_each_time_and_a_generator_another() -> None:
    data, rng = numbered(50), np.random.default_rng(3)
    assert labels_of(data.batches(8, rng=3)) == labels_of(data.batches(8, rng=3))
    assert labels_of(data.batches(8, rng=3)) != labels_of(data.batches(8, rng=4))
    assert labels_of(data.batches(8, rng=rng)) == labels_of(data.batches(8, rng=3))
    assert labels_of(data.batches(8, rng=rng)) != labels_of(data.batches(8, rng=3))


def test_passes_do_not_disturb_the_walk_of_next_batch() -> None:
    data, undisturbed = numbered(20), numbered(20)
    data.next_batch(3), undisturbed.next_batch(3)
    list(data.batches(4)), list(data.batches(4, rng=0))
    assert data.next_batch(9)[1].tolist() == undisturbed.next_batch(9)[1].tolist()


@pytest.mark.parametrize("n", [0, -1, 2.0, "3", None])
def test_batch_size_that_is_none_is_refused_before_the_first_batch(n: Any) -> None:
    for take in (numbered(5).batches, numbered(5).next_batch):
        with pytest.raises(DataError, match=f"whole number of at least 1, not {n!r}"):
            take(n)


def test_batch_size_may_be_a_numpy_integer() -> None:
    assert len(numbered(5).next_batch(np.int32(2))[1]) == 2


# The endless walk ---------------------------------------------------------------------------------


def test_first_epoch_is_shuffled_and_each_later_one_again() -> None:
    data = numbered(100)
    epochs = [data.next_batch(100)[1].tolist() for _ in range(3)]
    assert all(sorted(epoch) == list(range(100)) for epoch in epochs)
    assert list(range(100)) not in epochs
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_batch_across_the_end_takes_the_rest_and_the_start_of_the_next_epoch() -> None:
    data = numbered(10)
    first, second, third = (data.next_batch(7)[1].tolist() for _ in range(3))
    assert sorted(first + second[:3]) == list(range(10))
    rest_of_second_epoch = third[:6]
    assert sorted(second[3:] + rest_of_second_epoch) == list(range(10))


def test_batch_larger_than_the_data_takes_several_epochs() -> None:
    walk = numbered(4).next_batch(11)[1].tolist()
    assert len(walk) == 11
    assert sorted(walk[:4]) == sorted(walk[4:8]) == [0, 1, 2, 3]
    assert len(set(walk[8:])) == 3


def test_images_and_labels_of_a_batch_belong_together() -> None:
    images, labels = numbered(30).next_batch(70)
    np.testing.assert_array_equal(images[:, 0], labels)


def test_epoch_counts_as_completed_when_the_next_one_begins() -> None:
    data, seen = numbered(4), []
    for _ in range(5):
        data.next_batch(2)
        seen.append(data.epochs_completed)
    assert numbered(4).epochs_completed == 0
    assert seen == [0, 0, 1, 1, 2]


def test_walk_follows_the_seed() -> None:
    walks = [numbered(50, rng=rng).next_batch(50)[1].tolist() for rng in (0, 0, 1)]
    assert walks[0] == walks[1] != walks[2]
    assert numbered(50).next_batch(50)[1].tolist() == walks[0]


# Copies -------------------------------------------------------------------------------------------


def test_fresh_data_set_shares_the_arrays_and_walks_by_itself() -> None:
    data = Dataset(np.zeros((20, 2), np.uint8), np.arange(20))
    walk = [data.next_batch(6)[1].tolist() for _ in range(3)]
    twin = data.fresh()
    assert twin.images is data.images
    assert twin.labels is data.labels
    assert twin.image_shape == data.image_shape
    assert [twin.next_batch(6)[1].tolist() for _ in range(3)] == walk
    assert twin.epochs_completed == data.epochs_completed == 0
    assert data.fresh(rng=1).next_batch(20)[1].tolist() != data.fresh().next_batch(20)[1].tolist()


def test_other_labels_for_the_same_images_leave_the_first_alone() -> None:
    data = Dataset(np.zeros((3, 2), np.uint8), [4, 5, 6])
    parity = data.with_labels(data.labels % 2)
    assert parity.images is data.images
    assert parity.labels.tolist() == [0, 1, 0]
    assert data.labels.tolist() == [4, 5, 6]
    with pytest.raises(DataError, match="there are 3 images but 2 labels"):
        data.with_labels([1, 2])


def test_data_set_can_be_pickled_and_copied_in_the_middle_of_an_epoch() -> None:
    data = numbered(20)
    data.next_batch(7)
    twins = [pickle.loads(pickle.dumps(data)), copy.deepcopy(data)]
    expected = data.next_batch(20)[1].tolist()
    assert [twin.next_batch(20)[1].tolist() for twin in twins] == [expected, expected]


NO_SEEDS = ("a", 1.5, -1, {}, object(), np.array(2), True)


@pytest.mark.parametrize("given", NO_SEEDS)
def test_what_is_no_seed_is_told(given: Any) -> None:
    data = Dataset(np.zeros((3, 4)))
    calls = {
        "Dataset": lambda: Dataset(np.zeros(2), rng=given),
        "Dataset.batches": lambda: data.batches(2, given),
        "augmented": lambda: augmented(Dataset(np.zeros((3, 2, 2)))).batches(2, given),
    }
    for name, call in calls.items():
        with pytest.raises(OptionError, match=rf"^{name}: rng is a whole number of at least 0"):
            call()


@pytest.mark.parametrize("given", [3, 1.5, "ab", object(), np.array(2), [0, 2], [1.5], [None]])
def test_what_is_no_shape_and_no_names_is_told(given: Any) -> None:
    with pytest.raises(DataError, match=r"image_shape is the shape of one example.*not .*\."):
        Dataset(np.zeros((2, 4)), image_shape=given)
    if not isinstance(given, list):
        with pytest.raises(DataError, match=r"class_names is a list, .*, not .*\."):
            Dataset(np.zeros((2, 4)), class_names=given)
    assert Dataset(np.zeros((2, 4)), image_shape=np.array([2, 2])).image_shape == (2, 2)
