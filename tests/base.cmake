hq_unit(error DEPENDS hq_base)
hq_unit(buffer DEPENDS hq_base)
hq_unit(queue DEPENDS hq_base)
hq_unit(clock DEPENDS hq_base)
hq_unit(io DEPENDS hq_base)
hq_unit(utf8 DEPENDS hq_base)
hq_unit(log DEPENDS hq_base)
hq_unit(crashpoint DEPENDS hq_base)

# docs/errors.md is printed from the list in base/error.h; this fails when they differ.
add_executable(errors_doc unit/errors_doc.c)
target_link_libraries(errors_doc PRIVATE hq_flags hq_base)
add_test(NAME errors_doc COMMAND errors_doc --compare ${CMAKE_SOURCE_DIR}/docs/errors.md)
