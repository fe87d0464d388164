# Backups that the pipeline wrote to the memory store, brought back.
foreach(name IN ITEMS timeline branch lineage wal_inventory plan plan_objects postgres losses settings
        wal_get wal_prefetch wal_window target_find delta room look held)
    hq_unit(restore_${name} DEPENDS hq_pipeline hq_restore hq_storage_memory)
    target_sources(restore_${name}_test PRIVATE unit/fixture.c)
endforeach()

target_include_directories(restore_settings_test PRIVATE ${PROJECT_SOURCE_DIR}/restore)
foreach(name IN ITEMS wal_prefetch wal_window)
    target_include_directories(restore_${name}_test PRIVATE ${PROJECT_SOURCE_DIR}/restore)
    target_link_libraries(restore_${name}_test PRIVATE PkgConfig::jansson)
endforeach()

# What hq-restore start reads; what its files share is not seen by its users.
hq_unit(restore_start DEPENDS hq_restore hq_walscan)
target_include_directories(restore_start_test PRIVATE ${PROJECT_SOURCE_DIR}/restore)
target_link_libraries(restore_start_test PRIVATE PkgConfig::libpq)
hq_fuzz(start DEPENDS hq_restore PkgConfig::libpq)
if(HQ_FUZZ)
    target_include_directories(start_fuzz PRIVATE ${PROJECT_SOURCE_DIR}/restore)
endif()

hq_fuzz(history DEPENDS hq_restore)

# Writes the backups that tests/bench/memory.sh restores.
add_executable(make_backup bench/make_backup.c)
target_link_libraries(make_backup PRIVATE hq_flags hq_repository)
