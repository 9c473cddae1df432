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
find_package(Protobuf REQUIRED)
# Only for the module that several ranks load (src/comm/mpi); without it everything else is the same.
find_package(MPI QUIET COMPONENTS C)
find_path(FOVEA_TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h REQUIRED)
include(FoveaFoundLibraries)

# json is header-only and stays inside .cpp files, so that an installed fovea does not need it. fmt is linked: its header-only form
# doubles the time of a build.
set(FOVEA_HEADER_LIBRARIES nlohmann_json::nlohmann_json)
set(FOVEA_LINK_LIBRARIES fmt::fmt OpenMP::OpenMP_CXX Threads::Threads ZLIB::ZLIB JPEG::JPEG PNG::PNG LibArchive::LibArchive protobuf::libprotobuf-lite fovea_external::dnnl fovea_external::hwy
    fovea_external::webp fovea_external::csv ${CMAKE_DL_LIBS})

# The libraries that the code of one folder includes. oneDNN and Highway are for backends alone, codecs for image and data.
function(fovea_folder_dependencies folder)
  target_link_libraries(fovea_${folder} PRIVATE fmt::fmt)
  if(folder MATCHES "^(core|data|train)$")
    target_link_libraries(fovea_${folder} PRIVATE Threads::Threads)
  endif()
  # Loops live in ops and backends; elsewhere -O3 only costs time to build.
  if(NOT folder MATCHES "^(ops|backends|image)$")
    target_compile_options(fovea_${folder} PRIVATE $<$<CONFIG:Release>:-O2>)
  endif()
  if(folder STREQUAL "comm")
    fovea_mpi_module()
  elseif(folder STREQUAL "image")
    target_link_libraries(fovea_${folder} PRIVATE JPEG::JPEG PNG::PNG fovea_external::webp)
  elseif(folder STREQUAL "data")
    target_link_libraries(fovea_${folder} PRIVATE LibArchive::LibArchive ZLIB::ZLIB fovea_external::csv)
  elseif(folder STREQUAL "backends")
    # OpenMP only to tell oneDNN, which has its threads from there, to use one: fovea's own threads call it.
    target_link_libraries(fovea_${folder} PRIVATE fovea_external::dnnl fovea_external::hwy OpenMP::OpenMP_CXX)
    # No parser calls a kernel, and kernels take most of the time to compile with checks.
    if(FOVEA_BUILD_FUZZERS)
      target_compile_options(fovea_backends PRIVATE -fno-sanitize=all)
    endif()
  elseif(folder MATCHES "^(io|models|train|tasks|runtime|explain|runs)$")
    target_link_libraries(fovea_${folder} PRIVATE nlohmann_json::nlohmann_json)
    if(folder STREQUAL "io")
      target_link_libraries(fovea_io PRIVATE ZLIB::ZLIB)
    elseif(folder STREQUAL "train")
      target_include_directories(fovea_train SYSTEM PRIVATE ${FOVEA_TOMLPLUSPLUS_INCLUDE_DIR})
      target_compile_definitions(fovea_train PRIVATE FOVEA_VERSION="${PROJECT_VERSION}")
    endif()
  endif()
  if(folder MATCHES "^(io|train)$")
    fovea_protobuf(${folder})
  elseif(folder STREQUAL "runtime")
    target_compile_definitions(fovea_runtime PRIVATE FOVEA_VERSION="${PROJECT_VERSION}")  # measured plans hold for one version
  endif()
endfunction()

# MPI's libraries take milliseconds to load, so the library opens this module only in a process that mpirun started.
function(fovea_mpi_module)
  set(module ${CMAKE_SHARED_MODULE_PREFIX}fovea_mpi${CMAKE_SHARED_MODULE_SUFFIX})
  target_compile_definitions(fovea_comm PRIVATE FOVEA_VERSION="${PROJECT_VERSION}" FOVEA_MPI_MODULE_NAME="${module}" FOVEA_LIBRARY_FOLDER="${CMAKE_INSTALL_LIBDIR}"
    FOVEA_INSTALLED_LIBRARIES="${CMAKE_INSTALL_FULL_LIBDIR}" FOVEA_BUILD_FOLDER="${PROJECT_BINARY_DIR}")
  if(NOT MPI_C_FOUND)
    message(STATUS "MPI not found: fovea trains on one machine in one process (apt-get install libopenmpi-dev openmpi-bin)")
    return()
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/comm/mpi/*.cpp)
  # It needs nothing of the library but headers: a program may have that linked in statically.
  add_library(fovea_mpi MODULE ${sources})
  target_include_directories(fovea_mpi PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  target_compile_definitions(fovea_mpi PRIVATE FOVEA_VERSION="${PROJECT_VERSION}")
  target_compile_options(fovea_mpi PRIVATE $<$<CONFIG:Release>:-O3>)
  target_link_libraries(fovea_mpi PRIVATE MPI::MPI_C Threads::Threads)
  set_target_properties(fovea_mpi PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
  fovea_warnings(fovea_mpi)
  add_dependencies(fovea fovea_mpi)
  install(TARGETS fovea_mpi LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/fovea)
endfunction()

# src/<folder>/x.proto becomes "<folder>/x.pb.h" for that folder alone: an object library of its own, since the generated code keeps
# other rules about warnings than ours.
function(fovea_protobuf folder)
  file(GLOB protos CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${folder}/*.proto)
  set(out ${PROJECT_BINARY_DIR}/generated/protobuf)
  file(MAKE_DIRECTORY ${out})
  set(sources "")
  foreach(proto IN LISTS protos)
    get_filename_component(stem ${proto} NAME_WE)
    set(made ${out}/${folder}/${stem}.pb.cc ${out}/${folder}/${stem}.pb.h)
    add_custom_command(OUTPUT ${made} COMMAND protobuf::protoc --proto_path=${PROJECT_SOURCE_DIR}/src --cpp_out=${out} ${proto} DEPENDS ${proto} VERBATIM)
    list(APPEND sources ${made})
  endforeach()
  add_library(fovea_${folder}_protobuf OBJECT ${sources})
  target_include_directories(fovea_${folder}_protobuf SYSTEM PUBLIC ${out})
  target_link_libraries(fovea_${folder}_protobuf PUBLIC protobuf::libprotobuf-lite)
  target_compile_options(fovea_${folder}_protobuf PRIVATE -w)
  target_sources(fovea PRIVATE $<TARGET_OBJECTS:fovea_${folder}_protobuf>)
  target_include_directories(fovea_${folder} SYSTEM PRIVATE ${out})
  target_link_libraries(fovea_${folder} PRIVATE protobuf::libprotobuf-lite)
  add_dependencies(fovea_${folder} fovea_${folder}_protobuf)
endfunction()

# -Wrestrict, -Wstringop-overflow and -Warray-bounds are off: GCC 12 reports them falsely on std::string (GCC bug 105329) and inside fmt.
function(fovea_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wno-missing-field-initializers $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-stringop-overflow;-Wno-array-bounds> $<$<BOOL:${FOVEA_WARNINGS_AS_ERRORS}>:-Werror>)
endfunction()
