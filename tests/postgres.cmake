# The files of the module under test that its users do not see.
function(hq_postgres_unit name)
    hq_unit(postgres_${name} DEPENDS hq_postgres)
    target_include_directories(postgres_${name}_test PRIVATE
                               ${PROJECT_SOURCE_DIR}/engine/source/postgres)
    target_link_libraries(postgres_${name}_test PRIVATE PkgConfig::libpq)
endfunction()

hq_postgres_unit(page)
hq_postgres_unit(relation)
hq_postgres_unit(datadir)
hq_postgres_unit(backup_label)
hq_postgres_unit(files_read)
target_link_options(postgres_files_read_test PRIVATE -Wl,--wrap=hq_clock_sleep_ms)
hq_postgres_unit(files_skip)
hq_postgres_unit(diagnose)
hq_postgres_unit(hosts)
hq_postgres_unit(tar)
# The double's hq_backup_writer_* stand in for the pipeline's.
target_sources(postgres_tar_test PRIVATE unit/backup_writer_double.c)

hq_postgres_unit(incremental)
hq_postgres_unit(incremental_manifest)
target_link_libraries(postgres_incremental_manifest_test PRIVATE PkgConfig::jansson PkgConfig::libcrypto)
hq_postgres_unit(incremental_member)
target_sources(postgres_incremental_member_test PRIVATE unit/backup_writer_double.c)

hq_fuzz(datadir DEPENDS hq_postgres)
hq_fuzz(incremental DEPENDS hq_postgres)
hq_fuzz(tar DEPENDS hq_postgres)
if(HQ_FUZZ)
    target_include_directories(datadir_fuzz PRIVATE ${PROJECT_SOURCE_DIR}/engine/source/postgres)
    target_include_directories(incremental_fuzz PRIVATE ${PROJECT_SOURCE_DIR}/engine/source/postgres)
    target_sources(tar_fuzz PRIVATE unit/backup_writer_double.c)
    target_include_directories(tar_fuzz PRIVATE unit ${PROJECT_SOURCE_DIR}/engine/source/postgres)
endif()

# Against a real server; skipped (77) where PostgreSQL is not installed.
add_executable(basebackup_test integration/basebackup_test.c)
target_link_libraries(basebackup_test PRIVATE hq_flags hq_postgres)
add_test(NAME basebackup
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/integration/basebackup.sh $<TARGET_FILE:basebackup_test>)
set_tests_properties(basebackup PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND)
    add_test(NAME basebackup_odd
             COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/integration/odd_server.py
                     $<TARGET_FILE:basebackup_test>)
endif()
