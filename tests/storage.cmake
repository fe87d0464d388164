# The storage contract: its drivers that need no server, and the suite every driver must pass.
set(storage_conformance
    unit/storage_conformance.c unit/storage_conformance_objects.c
    unit/storage_conformance_list.c unit/storage_conformance_load.c)

hq_unit(storage_url DEPENDS hq_storage)
target_include_directories(storage_url_test PRIVATE ${PROJECT_SOURCE_DIR}/storage)
hq_unit(storage_posix DEPENDS hq_storage)
target_sources(storage_posix_test PRIVATE ${storage_conformance})
hq_unit(storage_posix_large DEPENDS hq_storage)
hq_unit(storage_posix_write DEPENDS hq_storage)
target_include_directories(storage_posix_write_test PRIVATE ${PROJECT_SOURCE_DIR}/storage/posix)
target_link_options(storage_posix_write_test PRIVATE -Wl,--wrap=pwrite)
hq_unit(storage_memory DEPENDS hq_storage hq_storage_memory)
target_sources(storage_memory_test PRIVATE ${storage_conformance})
hq_unit(storage_space DEPENDS hq_storage)
hq_unit(storage_gate DEPENDS hq_storage hq_storage_memory)

hq_fuzz(storage_url DEPENDS hq_storage)
if(TARGET storage_url_fuzz)
    target_include_directories(storage_url_fuzz PRIVATE ${PROJECT_SOURCE_DIR}/storage)
endif()

# Run by the scripts that start S3 servers, with HQ_TEST_STORE_URL.
add_executable(storage_s3_test integration/storage_s3_test.c ${storage_conformance})
target_include_directories(storage_s3_test PRIVATE unit)
target_link_libraries(storage_s3_test PRIVATE hq_flags PkgConfig::cmocka hq_storage)

add_executable(storage_tool integration/storage_tool.c)
target_link_libraries(storage_tool PRIVATE hq_flags hq_storage)
# LeakSanitizer can't work under ptrace.
add_test(NAME posix_sync
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/integration/posix_sync.sh $<TARGET_FILE:storage_tool>)
set_tests_properties(posix_sync PROPERTIES ENVIRONMENT "ASAN_OPTIONS=detect_leaks=0")
