hq_unit(governor_policy DEPENDS hq_engine)
target_include_directories(governor_policy_test PRIVATE ${PROJECT_SOURCE_DIR}/engine)
hq_postgres_unit(slot_state)
