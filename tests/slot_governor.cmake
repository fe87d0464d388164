hq_unit(governor_policy DEPENDS hq_engine)
hq_postgres_unit(slot_state)
