hq_unit(cron DEPENDS hq_schedules)
hq_fuzz(cron DEPENDS hq_schedules)
