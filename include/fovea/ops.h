// The op catalogue: every layer, activation and loss is a function that appends nodes to the graph of its input.
// Shape letters: N batch, C channels in, K channels out, H W input, P Q output, R S kernel, L classes.
#pragma once

#include "fovea/ops/activations.h"
#include "fovea/ops/arithmetic.h"
#include "fovea/ops/convolution.h"
#include "fovea/ops/losses.h"
#include "fovea/ops/norms.h"
#include "fovea/ops/pooling.h"
#include "fovea/ops/ranks.h"
#include "fovea/ops/resampling.h"
#include "fovea/ops/shapes.h"
#include "fovea/ops/updates.h"
