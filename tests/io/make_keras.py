"""Makes the Keras files in fixtures/ (needs h5py; the tests need only the files): the layout of keras/saving/hdf5_format.py, as Keras 2
writes it, with values that say where they stand."""
import json
import os

import h5py
import numpy as np


def values(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 8


def save(path, layers, config=None, dtype=np.float32, gzip=False):
    with h5py.File(path, 'w') as f:
        g = f
        if config is not None:
            f.attrs['model_config'] = json.dumps(config).encode()
            f.attrs['keras_version'] = b'2.9.0'
            g = f.create_group('model_weights')
        g.attrs['layer_names'] = [n.encode() for n, _ in layers]
        g.attrs['backend'] = b'tensorflow'
        for n, ws in layers:
            lg = g.create_group(n)
            lg.attrs['weight_names'] = [(n + '/' + w + ':0').encode() for w, _ in ws]
            for w, v in ws:
                kw = dict(compression='gzip', shuffle=True) if gzip else {}
                lg.create_dataset(n + '/' + w + ':0', data=v.astype(dtype), **kw)
conv = [('kernel', values(3, 2, 1, 2)), ('bias', values(2))]
bn = [('gamma', values(2) + 1), ('beta', values(2) + 2), ('moving_mean', values(2) + 3), ('moving_variance', values(2) + 4)]
dw = [('depthwise_kernel', values(2, 2, 2, 1)), ('bias', values(2))]
dense = [('kernel', values(8, 3)), ('bias', values(3))]
layers = [('input_1', []), ('conv2d', conv), ('batch_normalization', bn), ('dw', dw), ('flatten', []), ('dropout', []), ('dense', dense)]
classes = {'input_1': 'InputLayer', 'conv2d': 'Conv2D', 'batch_normalization': 'BatchNormalization', 'dw': 'DepthwiseConv2D', 'flatten': 'Flatten', 'dropout': 'Dropout', 'dense': 'Dense'}
config = {'class_name': 'Sequential', 'config': {'name': 'sequential', 'layers': [{'class_name': classes[n], 'config': {'name': n}} for n, _ in layers]}}
out = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'fixtures')
save(os.path.join(out, 'keras_model.h5'), layers, config)
save(os.path.join(out, 'keras_weights_gzip_f64.h5'), layers, dtype=np.float64, gzip=True)
with h5py.File(os.path.join(out, 'keras_outside.h5'), 'w') as f:
    f.attrs['layer_names'] = [b'a']
    g = f.create_group('a'); g.attrs['weight_names'] = [b'k:0']
    g['k:0'] = h5py.ExternalLink('elsewhere.h5', '/x')
with h5py.File(os.path.join(out, 'keras_external.h5'), 'w') as f:
    f.attrs['layer_names'] = [b'a']
    g = f.create_group('a'); g.attrs['weight_names'] = [b'k:0']
    g.create_dataset('k:0', shape=(4,), dtype='f4', external=[('elsewhere.bin', 0, 16)])
with h5py.File(os.path.join(out, 'plain.h5'), 'w') as f: f['x'] = np.zeros(3)
