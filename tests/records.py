"""Small TFRecords of each kind that gapkit imports, for the tests of `gapkit.data`."""

import numpy as np

from gapkit.data._tfrecord import messages, write_records


def frame_record(video_id, labels, frames, id_key="id"):
    """A SequenceExample: frames is {name: (T, D) uint8}, labels None to leave the key out."""
    message = messages().SequenceExample()
    _set_context(message.context, video_id, labels, id_key)
    for name, array in frames.items():
        feature_list = message.feature_lists.feature_list[name]
        for frame in array:
            feature_list.feature.add().bytes_list.value.append(frame.tobytes())
    return message.SerializeToString()


def video_record(video_id, labels, means, id_key="id"):
    """An Example: means is {name: (D,) floats}, labels None to leave the key out."""
    message = messages().Example()
    _set_context(message.features, video_id, labels, id_key)
    for name, array in means.items():
        message.features.feature[name].float_list.value.extend(np.asarray(array).tolist())
    return message.SerializeToString()


def draw_frames(rng, num_frames, sizes):
    return {name: rng.integers(0, 256, (num_frames, d), np.uint8) for name, d in sizes.items()}


def write_frames(path, videos, id_key="id"):
    """A TFRecord of videos {id: (labels, frames)}; returns the path."""
    write_records(path, [frame_record(v, *content, id_key) for v, content in videos.items()])
    return path


def write_means(path, videos, id_key="id"):
    write_records(path, [video_record(v, *content, id_key) for v, content in videos.items()])
    return path


def _set_context(features, video_id, labels, id_key):
    features.feature[id_key].bytes_list.value.append(video_id.encode())
    if labels is not None:
        features.feature["labels"].int64_list.value.extend(labels)
