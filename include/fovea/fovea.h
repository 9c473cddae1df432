// Everything a user of fovea includes.
#pragma once

#include "fovea/core.h"
