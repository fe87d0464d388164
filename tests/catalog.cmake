# The tests look into the catalog's tables with SQLite itself.
foreach(name IN ITEMS open sync ranges lineage)
    hq_unit(catalog_${name} DEPENDS hq_pipeline hq_storage_memory PkgConfig::sqlite3)
    target_sources(catalog_${name}_test PRIVATE unit/fixture.c)
endforeach()
