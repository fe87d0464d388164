hq_unit(governor_policy DEPENDS hq_engine)
hq_postgres_unit(slot_state)

# For tests/integration/governor.sh.
add_executable(governor_probe integration/governor_probe.c)
target_link_libraries(governor_probe PRIVATE hq_flags hq_engine)
