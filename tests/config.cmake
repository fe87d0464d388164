hq_unit(units DEPENDS hq_config)
hq_unit(config DEPENDS hq_config)
hq_unit(config_secret DEPENDS hq_config)
hq_fuzz(config DEPENDS hq_config)
