# oneDNN and Highway as targets, for the build and for whoever links an installed static fovea.
# Debian's dnnl-config.cmake asks for OpenCL, which the CPU engine does not use: the library is found directly.
foreach(library dnnl hwy)
  if(NOT TARGET fovea_external::${library})
    find_library(FOVEA_${library}_LIBRARY ${library} REQUIRED)
    mark_as_advanced(FOVEA_${library}_LIBRARY)
    add_library(fovea_external::${library} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(fovea_external::${library} PROPERTIES IMPORTED_LOCATION ${FOVEA_${library}_LIBRARY})
  endif()
endforeach()
