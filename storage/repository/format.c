#include "repository_internal.h"

int
hq_format_check(unsigned version, uint32_t features, struct hq_error *err)
{
    if (version == 0)
        return hq_fail(err, HQ_E_CORRUPT, "format version 0");
    if (version > HQ_FORMAT_VERSION) {
        (void)hq_fail(err, HQ_E_UNSUPPORTED, "format version %u, this program knows %d", version,
                      HQ_FORMAT_VERSION);
        return hq_error_hint(err, "use the release of hq-backup that wrote it, or a newer one");
    }
    if (features != 0) {
        (void)hq_fail(err, HQ_E_UNSUPPORTED, "needs features 0x%08x that this program lacks",
                      features);
        return hq_error_hint(err, "use the release of hq-backup that wrote it, or a newer one");
    }
    return 0;
}

int
hq_reserved_check(const uint8_t *bytes, size_t len, struct hq_error *err)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != 0)
            return hq_fail(err, HQ_E_UNSUPPORTED, "reserved bytes are in use");
    return 0;
}

int
hq_frame_check(unsigned codec, uint64_t len, uint64_t raw_len, struct hq_error *err)
{
    if (codec != HQ_CODEC_NONE && codec != HQ_CODEC_ZSTD)
        return hq_fail(err, HQ_E_UNSUPPORTED, "unknown codec %u", codec);
    if (len > raw_len || (codec == HQ_CODEC_NONE && len != raw_len))
        return hq_fail(err, HQ_E_CORRUPT, "%llu stored bytes cannot hold %llu with codec %u",
                       (unsigned long long)len, (unsigned long long)raw_len, codec);
    return 0;
}
