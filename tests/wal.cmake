# What the files of the module under test share is not seen by its users.
foreach(name IN ITEMS scan spool spool_recover spool_memory shelf store parts recover trouble known fault)
    hq_unit(wal_${name} DEPENDS hq_postgres hq_storage_memory)
    target_include_directories(wal_${name}_test PRIVATE
                               ${PROJECT_SOURCE_DIR}/engine/source/postgres)
endforeach()
foreach(name IN ITEMS spool spool_recover spool_memory)
    target_sources(wal_${name}_test PRIVATE unit/spool_fixture.c)
endforeach()
target_sources(wal_shelf_test PRIVATE unit/fixture.c)
foreach(name IN ITEMS store parts recover trouble known fault)
    target_sources(wal_${name}_test PRIVATE unit/fixture.c unit/wal_run.c)
endforeach()
target_link_libraries(wal_known_test PRIVATE PkgConfig::libpq)
target_link_options(wal_fault_test PRIVATE -Wl,--wrap=fdatasync -Wl,--wrap=unlink)
hq_fuzz(walscan DEPENDS hq_walscan)

# Against a real server; skipped (77) where PostgreSQL is not installed.
add_executable(archiver_test integration/archiver_test.c)
target_link_libraries(archiver_test PRIVATE hq_flags hq_postgres)
add_test(NAME archiver
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/integration/archiver.sh $<TARGET_FILE:archiver_test>)
# The longest by far: begun first, it is no tail that one core waits for.
set_tests_properties(archiver PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600 COST 1000)

# What a summary of WAL is made of is seen by its own module only.
foreach(name IN ITEMS blocks blockset crc summary summary_path)
    hq_unit(wal_${name} DEPENDS hq_walscan)
    target_include_directories(wal_${name}_test PRIVATE
                               ${PROJECT_SOURCE_DIR}/engine/source/wal)
endforeach()
foreach(name IN ITEMS walblocks walsummary)
    hq_fuzz(${name} DEPENDS hq_walscan PkgConfig::libxxhash)
    if(HQ_FUZZ)
        target_include_directories(${name}_fuzz PRIVATE ${PROJECT_SOURCE_DIR}/engine/source/wal)
    endif()
endforeach()

# What tests/integration/walsummary.sh compares with servers.
add_executable(walblocks_tool integration/walblocks_tool.c)
target_link_libraries(walblocks_tool PRIVATE hq_flags hq_walscan)
target_include_directories(walblocks_tool PRIVATE ${PROJECT_SOURCE_DIR}/engine/source/wal)

find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND)
    add_test(NAME archiver_odd
             COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/integration/odd_walsender.py
                     $<TARGET_FILE:archiver_test>)
    set_tests_properties(archiver_odd PROPERTIES TIMEOUT 300)
endif()
