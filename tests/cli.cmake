hq_unit(cli_options DEPENDS hq_cli)
hq_unit(cli_help DEPENDS hq_cli)
hq_unit(cli_output DEPENDS hq_cli PkgConfig::jansson)
hq_unit(cli_progress DEPENDS hq_cli)
hq_unit(cli_secret DEPENDS hq_cli)
# The texts of progress reports are tested apart from their threads.
target_include_directories(cli_progress_test PRIVATE ${CMAKE_SOURCE_DIR}/engine/cli)
