#pragma once

#include "codec/codec.h"

namespace twofold {

// One function per codec, defined in the codec's own file; codec.cpp lists them.
const Codec& raw_codec();
const Codec& packed_codec();
const Codec& tiered_codec();
const Codec& quad_codec();
const Codec& ans_codec();
const Codec& ans8_codec();
const Codec& zstd_codec();
const Codec& lz4_codec();
const Codec& snappy_codec();
const Codec& deflate_codec();

}  // namespace twofold
