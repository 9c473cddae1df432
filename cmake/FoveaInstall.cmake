# cmake --install: the library, its headers, the command line, and a package that find_package(fovea) reads.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fovea)
install(TARGETS fovea EXPORT fovea-targets)
install(EXPORT fovea-targets NAMESPACE fovea:: DESTINATION ${package_dir})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/fovea TYPE INCLUDE)
# To be read and copied; the program carries them itself.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/recipes DESTINATION ${CMAKE_INSTALL_DATADIR}/fovea)

get_target_property(FOVEA_LIBRARY_TYPE fovea TYPE)
configure_package_config_file(cmake/fovea-config.cmake.in ${PROJECT_BINARY_DIR}/fovea-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/fovea-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/fovea-config.cmake ${PROJECT_BINARY_DIR}/fovea-config-version.cmake
  ${PROJECT_SOURCE_DIR}/cmake/FoveaFoundLibraries.cmake DESTINATION ${package_dir})
