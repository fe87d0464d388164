# What is recoverable, from listings and from the catalog.
hq_unit(continuity DEPENDS hq_engine hq_storage_memory)
target_sources(continuity_test PRIVATE unit/fixture.c)
hq_unit(watch_gaps DEPENDS hq_engine)
hq_unit(metrics DEPENDS hq_engine)
target_include_directories(watch_gaps_test PRIVATE ${PROJECT_SOURCE_DIR}/engine)
