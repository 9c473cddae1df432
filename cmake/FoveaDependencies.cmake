# What fovea stands on, all from the distribution. Which folder uses which library is said in fovea_folder_dependencies.

# A project that takes fovea in with add_subdirectory links these through it, from its own directory.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL TRUE)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(LibArchive REQUIRED)
include(FoveaKernelLibraries)

# fmt and json are header-only and stay inside .cpp files, so that an installed fovea needs neither.
set(FOVEA_HEADER_LIBRARIES fmt::fmt-header-only nlohmann_json::nlohmann_json)
set(FOVEA_LINK_LIBRARIES OpenMP::OpenMP_CXX Threads::Threads ZLIB::ZLIB JPEG::JPEG PNG::PNG LibArchive::LibArchive fovea_external::dnnl fovea_external::hwy)

# The libraries that the code of one folder includes. oneDNN and Highway are for backends alone, codecs for image and data.
function(fovea_folder_dependencies folder)
  target_link_libraries(fovea_${folder} PRIVATE fmt::fmt-header-only)
  if(folder MATCHES "^(core|ops|runtime|backends|data|train)$")
    target_link_libraries(fovea_${folder} PRIVATE OpenMP::OpenMP_CXX Threads::Threads)
  endif()
  if(folder STREQUAL "image")
    target_link_libraries(fovea_${folder} PRIVATE JPEG::JPEG PNG::PNG)
  elseif(folder STREQUAL "data")
    target_link_libraries(fovea_${folder} PRIVATE LibArchive::LibArchive ZLIB::ZLIB)
  elseif(folder STREQUAL "backends")
    target_link_libraries(fovea_${folder} PRIVATE fovea_external::dnnl fovea_external::hwy)
  elseif(folder MATCHES "^(io|models|train|tasks|runtime)$")
    target_link_libraries(fovea_${folder} PRIVATE nlohmann_json::nlohmann_json LibArchive::LibArchive)
  endif()
endfunction()

# -Wrestrict is off: GCC 12 reports it falsely on std::string (GCC bug 105329).
function(fovea_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wno-missing-field-initializers $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> $<$<BOOL:${FOVEA_WARNINGS_AS_ERRORS}>:-Werror>)
endfunction()
