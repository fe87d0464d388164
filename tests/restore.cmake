# Backups that the pipeline wrote to the memory store, brought back.
foreach(name IN ITEMS timeline lineage wal_inventory plan plan_objects postgres losses settings wal_get)
    hq_unit(restore_${name} DEPENDS hq_pipeline hq_restore hq_storage_memory)
    target_sources(restore_${name}_test PRIVATE unit/fixture.c)
endforeach()

hq_fuzz(history DEPENDS hq_restore)
