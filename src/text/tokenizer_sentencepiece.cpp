// SentencePiece's tokenizer.model: a protocol buffer (its sentencepiece_model.proto).
#include <cmath>
#include <protozero/pbf_message.hpp>

#include "base/error.h"
#include "text/component.h"
#include "text/sentencepiece.h"
#include "text/tokenizer_files.h"

namespace twofold {

namespace {

// The messages and the numbers of the fields that are used.
enum class ModelField : protozero::pbf_tag_type { kPieces = 1, kTrainer = 2, kNormalizer = 3 };
enum class PieceField : protozero::pbf_tag_type { kPiece = 1, kScore = 2, kType = 3 };
enum class TrainerField : protozero::pbf_tag_type {
  kModelType = 3,
  kWhitespaceAsSuffix = 24,
  kByteFallback = 35,
  kBosId = 41,
  kEosId = 42
};
enum class NormalizerField : protozero::pbf_tag_type {
  kCharsmap = 2,
  kAddDummyPrefix = 3,
  kRemoveExtraWhitespaces = 4,
  kEscapeWhitespaces = 5
};
enum ModelType { kUnigram = 1, kBpe = 2 };

struct ModelFile {
  SentencePieceVocab vocab;
  std::int32_t bos = 1;
  std::int32_t eos = 2;
};

// protozero's own get_bool reads the first byte of the number without a look at where the message ends.
template <typename Field>
bool get_bool(protozero::pbf_message<Field>& message) {
  return message.get_uint64() != 0;
}

void read_piece(protozero::data_view view, SentencePieceVocab& vocab, const std::string& where) {
  protozero::pbf_message<PieceField> message(view);
  const std::size_t id = vocab.pieces.size();
  std::string piece;
  float score = 0;
  std::int32_t type = 1;
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(PieceField::kPiece, protozero::pbf_wire_type::length_delimited):
        piece = message.get_string();
        break;
      case tag_and_type(PieceField::kScore, protozero::pbf_wire_type::fixed32):
        score = message.get_float();
        break;
      case tag_and_type(PieceField::kType, protozero::pbf_wire_type::varint):
        type = message.get_enum();
        break;
      default:
        message.skip();
    }
  }
  if (piece.empty()) fail("{}: piece {}: expected a text, found none", where, id);
  if (!std::isfinite(score)) fail("{}: piece {}: score: expected a number, found {}", where, id, score);
  if (type < 1 || type > 6) fail("{}: piece {}: type: expected 1 to 6, found {}", where, id, type);
  vocab.pieces.push_back(std::move(piece));
  vocab.scores.push_back(score);
  vocab.types.push_back(static_cast<SentencePieceVocab::Type>(type));
}

void read_trainer(protozero::data_view view, ModelFile& file, const std::string& where) {
  protozero::pbf_message<TrainerField> message(view);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(TrainerField::kModelType, protozero::pbf_wire_type::varint): {
        const std::int32_t type = message.get_enum();
        if (type != kUnigram && type != kBpe) {
          fail("{}: trainer_spec.model_type: expected 1 (unigram) or 2 (BPE), found {}", where, type);
        }
        file.vocab.unigram = type == kUnigram;
        break;
      }
      case tag_and_type(TrainerField::kWhitespaceAsSuffix, protozero::pbf_wire_type::varint):
        if (get_bool(message)) {
          fail("{}: trainer_spec.treat_whitespace_as_suffix: expected false, found true", where);
        }
        break;
      case tag_and_type(TrainerField::kByteFallback, protozero::pbf_wire_type::varint):
        file.vocab.byte_fallback = get_bool(message);
        break;
      case tag_and_type(TrainerField::kBosId, protozero::pbf_wire_type::varint):
        file.bos = message.get_int32();
        break;
      case tag_and_type(TrainerField::kEosId, protozero::pbf_wire_type::varint):
        file.eos = message.get_int32();
        break;
      default:
        message.skip();
    }
  }
}

void read_normalizer(protozero::data_view view, SentencePieceVocab& vocab, const std::string& where) {
  protozero::pbf_message<NormalizerField> message(view);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(NormalizerField::kCharsmap, protozero::pbf_wire_type::length_delimited):
        vocab.charsmap = message.get_string();
        break;
      case tag_and_type(NormalizerField::kAddDummyPrefix, protozero::pbf_wire_type::varint):
        vocab.add_dummy_prefix = get_bool(message);
        break;
      case tag_and_type(NormalizerField::kRemoveExtraWhitespaces, protozero::pbf_wire_type::varint):
        vocab.remove_extra_whitespaces = get_bool(message);
        break;
      case tag_and_type(NormalizerField::kEscapeWhitespaces, protozero::pbf_wire_type::varint):
        if (!get_bool(message)) {
          fail("{}: normalizer_spec.escape_whitespaces: expected true, found false", where);
        }
        break;
      default:
        message.skip();
    }
  }
}

ModelFile read_model(std::string_view bytes, const std::string& where) {
  ModelFile file;
  file.vocab.unigram = true;  // the default of the format, as the next
  file.vocab.remove_extra_whitespaces = true;
  try {
    protozero::pbf_message<ModelField> message(bytes.data(), bytes.size());
    while (message.next()) {
      const bool is_message = message.wire_type() == protozero::pbf_wire_type::length_delimited;
      if (is_message && message.tag() == ModelField::kPieces) {
        read_piece(message.get_view(), file.vocab, where);
      } else if (is_message && message.tag() == ModelField::kTrainer) {
        read_trainer(message.get_view(), file, where);
      } else if (is_message && message.tag() == ModelField::kNormalizer) {
        read_normalizer(message.get_view(), file.vocab, where);
      } else {
        message.skip();
      }
    }
  } catch (const protozero::exception& error) {
    fail("{}: expected a SentencePiece model, found a broken protocol buffer behind piece {} ({})", where,
         file.vocab.pieces.size(), error.what());
  }
  if (file.vocab.pieces.empty()) fail("{}: expected a SentencePiece model, found no pieces", where);
  return file;
}

}  // namespace

std::unique_ptr<Tokenizer> parse_sentencepiece_model(std::string_view bytes, const TokenizerConfig& config,
                                                     const std::string& where) {
  ModelFile file = read_model(bytes, where);
  const auto control_id = [&](std::int32_t id) -> std::optional<TokenId> {
    const bool is_control =
        id >= 0 && static_cast<std::size_t>(id) < file.vocab.types.size() &&
        file.vocab.types[static_cast<std::size_t>(id)] == SentencePieceVocab::Type::kControl;
    return is_control ? std::optional<TokenId>(id) : std::nullopt;
  };
  const auto bos = control_id(file.bos);
  const auto eos = control_id(file.eos);
  TokenizerStages stages = make_sentencepiece_stages(std::move(file.vocab), config.added, where);
  stages.bos = bos;
  stages.eos = eos;
  // Without further word: BOS, as Llama and Gemma have it; T5, which has no BOS, ends with EOS.
  if (bos) {
    stages.prompt.before = {*bos};
  } else if (eos) {
    stages.prompt.after = {*eos};
  }
  return assemble_tokenizer(std::move(stages), config, where, where);
}

}  // namespace twofold
