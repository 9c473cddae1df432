// What the library and its MPI module, which it loads, know of one another.
#pragma once

#include "fovea/comm.h"

namespace fovea {

using MpiModuleVersion = const char*();
using MpiModuleOpen = Communicator*();  ///< the caller's; throws Error

inline constexpr const char* mpi_module_version = "fovea_mpi_version";
inline constexpr const char* mpi_module_open = "fovea_mpi_open";

}  // namespace fovea
