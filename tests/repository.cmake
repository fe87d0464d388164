# The repository format over the memory store, with the fixed keys of tests/golden/v1. Some look at
# the plain forms below the encryption, through the module's internal headers.
foreach(name IN ITEMS chunk pack object index pagemap manifest root wal json)
    hq_unit(repository_${name} DEPENDS hq_repository hq_storage_memory)
    target_include_directories(repository_${name}_test PRIVATE
                               ${PROJECT_SOURCE_DIR}/storage/repository)
endforeach()
target_link_libraries(repository_chunk_test PRIVATE PkgConfig::libzstd)
target_link_libraries(repository_json_test PRIVATE PkgConfig::jansson)
