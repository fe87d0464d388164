# The S3 driver: its pure parts here; the driver against real servers in integration/storage.sh.
foreach(part IN ITEMS sigv4 place xml answer)
    hq_unit(s3_${part} DEPENDS hq_storage hq_storage_s3 PkgConfig::libcurl)
    target_include_directories(s3_${part}_test PRIVATE ${PROJECT_SOURCE_DIR}/storage/s3)
endforeach()

hq_fuzz(s3_xml DEPENDS hq_storage hq_storage_s3)
if(TARGET s3_xml_fuzz)
    target_include_directories(s3_xml_fuzz PRIVATE ${PROJECT_SOURCE_DIR}/storage/s3)
endif()

add_executable(storage_s3_probe integration/storage_s3_probe.c)
target_link_libraries(storage_s3_probe PRIVATE hq_flags hq_storage)

# Needs the servers of tests/lab; not among the tests that run everywhere: -C integration.
add_test(NAME storage_s3 CONFIGURATIONS integration
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/integration/storage.sh $<TARGET_FILE_DIR:storage_s3_test>)
set_tests_properties(storage_s3 PROPERTIES TIMEOUT 600)
