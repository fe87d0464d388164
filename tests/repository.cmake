# The repository format over the memory store, with the fixed keys of tests/golden/v1. Some look at
# the plain forms below the encryption, through the module's internal headers.
foreach(name IN ITEMS chunk chunk_reader pack object index pagemap manifest root audit lineage wal json vectors nomem)
    hq_unit(repository_${name} DEPENDS hq_repository hq_storage_memory)
    target_include_directories(repository_${name}_test PRIVATE
                               ${PROJECT_SOURCE_DIR}/storage/repository)
endforeach()
target_link_libraries(repository_chunk_test PRIVATE PkgConfig::libzstd)
target_link_libraries(repository_json_test PRIVATE PkgConfig::jansson)
target_link_libraries(repository_nomem_test PRIVATE PkgConfig::jansson)
foreach(function IN ITEMS malloc calloc realloc reallocarray aligned_alloc strdup)
    target_link_options(repository_nomem_test PRIVATE -Wl,--wrap=${function})
endforeach()
target_link_libraries(repository_vectors_test PRIVATE PkgConfig::jansson)
target_compile_definitions(repository_vectors_test
    PRIVATE HQ_GOLDEN="${CMAKE_CURRENT_SOURCE_DIR}/golden/v1")

# Writes tests/golden/v1/vectors.json, which is kept: a run of it shows that it still works.
add_executable(make_vectors golden/make_vectors.c golden/make_vectors_keys.c
               golden/make_vectors_objects.c)
target_include_directories(make_vectors PRIVATE unit ${PROJECT_SOURCE_DIR}/storage/repository)
target_link_libraries(make_vectors PRIVATE hq_flags hq_repository PkgConfig::jansson)
add_test(NAME make_vectors COMMAND make_vectors)

# Each decoder below the encryption: plaintext bodies, or frames that the target seals itself.
foreach(name IN ITEMS pack index manifest root audit pagemap wal repository_json)
    hq_fuzz(${name} DEPENDS hq_repository)
    if(TARGET ${name}_fuzz)
        target_include_directories(${name}_fuzz PRIVATE unit ${PROJECT_SOURCE_DIR}/storage/repository)
        target_link_libraries(${name}_fuzz PRIVATE PkgConfig::jansson)
    endif()
endforeach()
