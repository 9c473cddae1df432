// Everything a user of fovea includes.
#pragma once

#include "fovea/calibrate.h"
#include "fovea/core.h"
#include "fovea/data.h"
#include "fovea/explain.h"
#include "fovea/graph.h"
#include "fovea/image.h"
#include "fovea/io.h"
#include "fovea/models.h"
#include "fovea/nn.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "fovea/quantize.h"
#include "fovea/runs.h"
#include "fovea/runtime.h"
#include "fovea/tasks.h"
#include "fovea/train.h"
