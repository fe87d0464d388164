# Against a real server; skipped (77) where PostgreSQL is not installed.
add_executable(archiver_test integration/archiver_test.c)
target_link_libraries(archiver_test PRIVATE hq_flags hq_postgres)
add_test(NAME archiver
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/integration/archiver.sh $<TARGET_FILE:archiver_test>)
set_tests_properties(archiver PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900)
