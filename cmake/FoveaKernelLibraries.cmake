# oneDNN, Highway and HDF5 as targets, for the build and for whoever links an installed static fovea.
# Debian's dnnl-config.cmake asks for OpenCL, which the CPU engine does not use: the library is found directly.
foreach(library dnnl hwy)
  if(NOT TARGET fovea_external::${library})
    find_library(FOVEA_${library}_LIBRARY ${library} REQUIRED)
    mark_as_advanced(FOVEA_${library}_LIBRARY)
    add_library(fovea_external::${library} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(fovea_external::${library} PROPERTIES IMPORTED_LOCATION ${FOVEA_${library}_LIBRARY})
  endif()
endforeach()
# HDF5 as Debian's serial flavour; FindHDF5 would compile test programs.
if(NOT TARGET fovea_external::hdf5)
  find_library(FOVEA_hdf5_LIBRARY NAMES hdf5_serial hdf5 REQUIRED)
  find_path(FOVEA_hdf5_INCLUDE hdf5.h PATH_SUFFIXES hdf5/serial REQUIRED)
  mark_as_advanced(FOVEA_hdf5_LIBRARY FOVEA_hdf5_INCLUDE)
  add_library(fovea_external::hdf5 UNKNOWN IMPORTED GLOBAL)
  set_target_properties(fovea_external::hdf5 PROPERTIES IMPORTED_LOCATION ${FOVEA_hdf5_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${FOVEA_hdf5_INCLUDE})
endif()
