# One object library per folder of src/, linked to the folders arrows.txt allows; together they are libfovea.

# The list of ops is found by file name: src/ops/relu.cpp defines register_relu(OpRegistry&).
function(fovea_generate_op_list out)
  file(GLOB op_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/ops/*.cpp)
  set(declarations "")
  set(calls "")
  foreach(op_file IN LISTS op_files)
    get_filename_component(stem ${op_file} NAME_WE)
    string(APPEND declarations "void register_${stem}(OpRegistry&);\n")
    string(APPEND calls "    register_${stem}(ops);\n")
  endforeach()
  set(text "// Generated from the file names in src/ops.\n#include \"graph/op.h\"\n\nnamespace fovea {\n${declarations}\nvoid register_all_ops(OpRegistry& ops) {\n${calls}}\n}  // namespace fovea\n")
  file(CONFIGURE OUTPUT ${out} CONTENT "${text}" @ONLY)
endfunction()

# recipes/*.toml inside the library, so that a program finds them wherever it lies: name and text of each.
function(fovea_generate_recipe_list out)
  file(GLOB recipes CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/recipes/*.toml)
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${recipes})
  set(entries "")
  foreach(recipe IN LISTS recipes)
    get_filename_component(stem ${recipe} NAME_WE)
    file(READ ${recipe} text)
    string(APPEND entries "        {\"${stem}\", R\"toml(${text})toml\"},\n")
  endforeach()
  set(text "// Generated from recipes/*.toml.\n#include \"fovea/train.h\"\n\nnamespace fovea {\n\nconst std::vector<std::pair<std::string, std::string>>& shipped_recipes() {\n    static const std::vector<std::pair<std::string, std::string>> recipes{\n${entries}    };\n    return recipes;\n}\n\n}  // namespace fovea\n")
  file(CONFIGURE OUTPUT ${out} CONTENT "${text}" @ONLY)
endfunction()

# Headers that nearly every file includes, parsed once per target instead of once per file: a third of a build's time. Each file still names
# what it uses; a build with -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON shows whether it does. Further headers of a target follow its name.
function(fovea_precompile target)
  target_precompile_headers(${target} PRIVATE <algorithm> <array> <cmath> <cstdint> <cstring> <filesystem> <functional> <map> <memory> <numeric> <optional> <ranges> <set> <span>
    <string> <string_view> <utility> <variant> <vector> <fmt/format.h> <fmt/ranges.h> ${ARGN})
endfunction()

function(fovea_library_from_folders)
  add_library(fovea)
  add_library(fovea::fovea ALIAS fovea)
  file(STRINGS ${PROJECT_SOURCE_DIR}/cmake/arrows.txt rules REGEX "^[a-z]")
  foreach(rule IN LISTS rules)
    string(REGEX MATCH "^[a-z]+" folder "${rule}")
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${folder}/*.cpp)
    list(FILTER sources EXCLUDE REGEX "/src/comm/mpi/")  # a module of its own
    if(folder STREQUAL "ops" AND sources)
      set(op_list ${PROJECT_BINARY_DIR}/generated/register_all_ops.cpp)
      fovea_generate_op_list(${op_list})
      list(APPEND sources ${op_list})
    endif()
    if(folder STREQUAL "train")
      set(recipe_list ${PROJECT_BINARY_DIR}/generated/shipped_recipes.cpp)
      fovea_generate_recipe_list(${recipe_list})
      list(APPEND sources ${recipe_list})
    endif()
    if(NOT sources)
      continue()
    endif()
    add_library(fovea_${folder} OBJECT ${sources})
    target_include_directories(fovea_${folder} PUBLIC
      $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>)
    target_compile_features(fovea_${folder} PUBLIC cxx_std_20)
    fovea_warnings(fovea_${folder})
    fovea_folder_dependencies(${folder})
    list(LENGTH sources count)
    if(folder STREQUAL "ops")
      fovea_precompile(fovea_ops <fovea/ops.h> <graph/op.h>)
    elseif(count GREATER 8 AND NOT folder STREQUAL "backends") # behind a precompiled header and without optimisation GCC 12 mixes up Highway's intrinsics
      fovea_precompile(fovea_${folder})
    endif()
    target_sources(fovea PRIVATE $<TARGET_OBJECTS:fovea_${folder}>)
  endforeach()
  target_include_directories(fovea PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
  target_compile_features(fovea PUBLIC cxx_std_20)
  target_link_libraries(fovea PRIVATE ${FOVEA_LINK_LIBRARIES})
endfunction()

# A target of this project that may see private headers: tools, tests.
function(fovea_internal target)
  target_link_libraries(${target} PRIVATE fovea ${FOVEA_HEADER_LIBRARIES} ${FOVEA_LINK_LIBRARIES})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_include_directories(${target} SYSTEM PRIVATE ${PROJECT_BINARY_DIR}/generated/protobuf)
  # The undefined-behaviour checks of a sanitizer build belong into the library; in tests they only triple the time to compile.
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1> -fno-sanitize=undefined)
  fovea_warnings(${target})
endfunction()
