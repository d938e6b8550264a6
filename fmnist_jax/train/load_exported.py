"""Classifies images with the network beside this file; needs jax and flatbuffers alone: python load.py IMAGES.npy"""

import json
import pathlib
import sys

import jax
import jax.export
import numpy as np

folder = pathlib.Path(__file__).parent
class_names = json.loads((folder / "network.json").read_text())["class_names"]
weights = jax.device_put(dict(np.load(folder / "weights.npz")))
network = jax.jit(jax.export.deserialize(bytearray((folder / "network.jax").read_bytes())).call)

if __name__ == "__main__":
    for probabilities in np.asarray(network(weights, np.load(sys.argv[1]))):
        print(f"{class_names[probabilities.argmax()]} {probabilities.max():.1%}")
