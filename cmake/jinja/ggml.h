// Stands in for llama.cpp's tensor library, of which its JSON wrapper wants no more than this.
#pragma once

#include <cstdlib>

#define GGML_ASSERT(condition) ((condition) ? static_cast<void>(0) : std::abort())
