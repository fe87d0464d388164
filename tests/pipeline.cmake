# From files to packs, over the memory store with the fixed keys of tests/golden/v1.
hq_unit(pipeline_chunker DEPENDS hq_pipeline PkgConfig::jansson)
target_include_directories(pipeline_chunker_test PRIVATE ${PROJECT_SOURCE_DIR}/engine/pipeline)
target_compile_definitions(pipeline_chunker_test PRIVATE
    HQ_TEST_VECTORS="${CMAKE_CURRENT_SOURCE_DIR}/golden/v1/vectors.json")

foreach(name IN ITEMS writer writer_faults)
    hq_unit(pipeline_${name} DEPENDS hq_pipeline hq_restore hq_storage_memory)
    target_sources(pipeline_${name}_test PRIVATE unit/fixture.c)
endforeach()

foreach(name IN ITEMS pages skips wear losses)
    hq_unit(pipeline_parent_${name} DEPENDS hq_pipeline hq_restore hq_storage_memory)
    target_sources(pipeline_parent_${name}_test PRIVATE unit/fixture.c unit/parent_fixture.c)
endforeach()
