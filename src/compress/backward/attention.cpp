#include "compress/backward/attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "compress/backward/norm.h"
#include "kernels/ops.h"

namespace twofold {

namespace {

using Size = std::size_t;

constexpr Size kQueryBlock = 128;  // queries whose scores are in memory at once

/// Where a head's outputs stand among those of the q, k, v linears.
struct Place {
  Size linear = 0;
  Size offset = 0;
};

class AttentionPass {
 public:
  AttentionPass(const BackwardPass& pass, const AttentionSpec& spec, const AttentionWeights& weights)
      : pass_(pass),
        spec_(spec),
        weights_(weights),
        tokens_(pass.count()),
        dim_(static_cast<Size>(pass.model.head_dim)),
        heads_(static_cast<Size>(pass.model.heads)),
        kv_heads_(static_cast<Size>(pass.model.kv_heads)),
        shared_(heads_ / kv_heads_) {}

  void run(const float* x, const float* dout, float* dx) {
    project(x);
    const Size width = heads_ * dim_;
    AlignedVector<float> dmixed(tokens_ * width);
    backward_input(dout, tokens_, pass_.matrices.of(spec_.out), static_cast<Size>(spec_.out.rows), width,
                   dmixed.data(), false, pass_.pool());
    AlignedVector<float> mixed(tokens_ * width);
    AlignedVector<float> dq(heads_ * tokens_ * dim_);
    AlignedVector<float> dk(dq.size());  // by query head; those that share a key head are added up below
    AlignedVector<float> dv(dq.size());
    pass_.pool().run(heads_, [&](Size begin, Size end, int) {
      for (Size h = begin; h < end; ++h) {
        const Size at = h * tokens_ * dim_;
        attend(h, &dmixed[h * dim_], &mixed[h * dim_], &dq[at], &dk[at], &dv[at]);
      }
    });
    if (pass_.observer != nullptr) pass_.observer->observe(spec_.out, mixed.data(), dout, pass_.tokens);
    gather(dq, dk, dv);
    for (Size i = 0; i < spec_.qkv.size(); ++i)
      pass_.linear(spec_.qkv[i], x, gradients_[i].data(), pass_.tokens, dx, i > 0);
  }

 private:
  Place query(Size h) const {
    if (spec_.qkv.size() == 3 || spec_.layout == AttentionSpec::Layout::kBlocks) return {0, h * dim_};
    return {0, (h / shared_ * (shared_ + 2) + h % shared_) * dim_};
  }
  Place key(Size g) const {
    if (spec_.qkv.size() == 3) return {1, g * dim_};
    if (spec_.layout == AttentionSpec::Layout::kBlocks) return {0, (heads_ + g) * dim_};
    return {0, (g * (shared_ + 2) + shared_) * dim_};
  }
  Place value(Size g) const {
    if (spec_.qkv.size() == 3) return {2, g * dim_};
    if (spec_.layout == AttentionSpec::Layout::kBlocks) return {0, (heads_ + kv_heads_ + g) * dim_};
    return {0, (g * (shared_ + 2) + shared_ + 1) * dim_};
  }
  Size stride(Place place) const { return static_cast<Size>(spec_.qkv[place.linear].rows); }

  /// A head's rows [tokens, dim] out of the projections.
  AlignedVector<float> head(Place place) const {
    AlignedVector<float> out(tokens_ * dim_);
    const float* from = &projections_[place.linear][place.offset];
    for (Size t = 0; t < tokens_; ++t)
      std::memcpy(&out[t * dim_], from + t * stride(place), dim_ * sizeof(float));
    return out;
  }

  void project(const float* x) {
    std::array<const Linear*, 3> linears = {};
    std::array<float*, 3> outputs = {};
    const Size count = spec_.qkv.size();
    for (Size i = 0; i < count; ++i) {
      projections_[i].resize(tokens_ * static_cast<Size>(spec_.qkv[i].rows));
      gradients_[i].resize(projections_[i].size());
      linears[i] = weights_.qkv[i].get();
      outputs[i] = projections_[i].data();
    }
    multiply_group(std::span(linears).first(count), x, pass_.tokens, std::span(outputs).first(count),
                   pass_.workspace);
  }

  /// Norms and rotates a head's queries or keys, in place.
  void position(AlignedVector<float>& rows, const NormSpec& norm, const NormWeights& weights) const {
    for (Size t = 0; t < tokens_; ++t) {
      float* row = &rows[t * dim_];
      if (norm.present()) apply_norm(norm, weights, row, row);
      if (!spec_.rope) continue;
      const RopeTable& rope = pass_.positions.rope(*spec_.rope, 0);
      const auto at = static_cast<std::int64_t>(t);
      ops().rope(row, rope.cosines(at), rope.sines(at), rope.half());
    }
  }

  /// The way back through `position`, from the gradients `rows` [tokens, dim] to where the projection's are.
  void unposition(float* rows, Place place, const NormSpec& norm, const NormWeights& weights) {
    const float* raw = &projections_[place.linear][place.offset];
    float* out = &gradients_[place.linear][place.offset];
    std::vector<float> turned_back;
    for (Size t = 0; t < tokens_; ++t) {
      float* row = rows + t * dim_;
      if (spec_.rope) {  // a rotation's transpose is the rotation back
        const RopeTable& rope = pass_.positions.rope(*spec_.rope, 0);
        const auto at = static_cast<std::int64_t>(t);
        const float* sines = rope.sines(at);
        turned_back.resize(rope.half());
        std::transform(sines, sines + rope.half(), turned_back.begin(), [](float s) { return -s; });
        ops().rope(row, rope.cosines(at), turned_back.data(), rope.half());
      }
      if (norm.present()) backward_norm(norm, weights, raw + t * stride(place), row, row);
      std::memcpy(out + t * stride(place), row, dim_ * sizeof(float));
    }
  }

  /// One query head: its outputs `mixed`, `dim_` of every row, and the gradients of its queries and of the
  /// keys and values that it reads.
  void attend(Size h, const float* dmixed, float* mixed, float* dq, float* dk, float* dv) const {
    const Size width = heads_ * dim_;
    AlignedVector<float> q = head(query(h));
    AlignedVector<float> k = head(key(h / shared_));
    const AlignedVector<float> v = head(value(h / shared_));
    position(q, spec_.q_norm, weights_.q_norm);
    position(k, spec_.k_norm, weights_.k_norm);
    std::fill(dk, dk + tokens_ * dim_, 0.0F);
    std::fill(dv, dv + tokens_ * dim_, 0.0F);
    const Size most = std::min(kQueryBlock, tokens_) * tokens_;
    AlignedVector<float> p(most), slope(spec_.soft_cap > 0 ? most : 0), ds(most), turned;
    for (Size begin = 0; begin < tokens_; begin += kQueryBlock) {
      const Size end = std::min(tokens_, begin + kQueryBlock);  // keys [0, end)
      const Size rows = end - begin;
      ops().gemm_nt({.a = &q[begin * dim_],
                     .a_stride = dim_,
                     .b = k.data(),
                     .b_stride = dim_,
                     .c = p.data(),
                     .c_stride = end,
                     .m = rows,
                     .n = end,
                     .k = dim_});
      for (Size r = 0; r < rows; ++r)
        weigh(h, begin + r, end, &p[r * end], slope.empty() ? nullptr : &slope[r * end]);
      ops().gemm_nn({.a = p.data(),
                     .a_stride = end,
                     .b = v.data(),
                     .b_stride = dim_,
                     .c = mixed + begin * width,
                     .c_stride = width,
                     .m = rows,
                     .n = dim_,
                     .k = end});
      // o = P v: dP = do v', dv = P' do. Softmax: ds_j = p_j (dp_j - sum of p dp).
      ops().gemm_nt({.a = dmixed + begin * width,
                     .a_stride = width,
                     .b = v.data(),
                     .b_stride = dim_,
                     .c = ds.data(),
                     .c_stride = end,
                     .m = rows,
                     .n = end,
                     .k = dim_});
      gemm_tn({.a = p.data(),
               .a_stride = end,
               .b = dmixed + begin * width,
               .b_stride = width,
               .c = dv,
               .c_stride = dim_,
               .m = end,
               .n = dim_,
               .k = rows,
               .add = true},
              turned);
      for (Size r = 0; r < rows; ++r) {
        float* row = &ds[r * end];
        const float* weight = &p[r * end];
        const float mean = ops().dot(weight, row, end);
        for (Size j = 0; j < end; ++j) row[j] = spec_.scale * weight[j] * (row[j] - mean);
        if (!slope.empty()) {
          for (Size j = 0; j < end; ++j) row[j] *= slope[r * end + j];
        }
      }
      ops().gemm_nn({.a = ds.data(),
                     .a_stride = end,
                     .b = k.data(),
                     .b_stride = dim_,
                     .c = dq + begin * dim_,
                     .c_stride = dim_,
                     .m = rows,
                     .n = dim_,
                     .k = end});
      gemm_tn({.a = ds.data(),
               .a_stride = end,
               .b = &q[begin * dim_],
               .b_stride = dim_,
               .c = dk,
               .c_stride = dim_,
               .m = end,
               .n = dim_,
               .k = rows,
               .add = true},
              turned);
    }
  }

  /// Products of the query at `position` with keys [0, end) to weights; `slope` gets the soft cap's where it
  /// is given.
  void weigh(Size h, Size position, Size end, float* s, float* slope) const {
    const auto window = static_cast<Size>(spec_.window);
    const Size first = window > 0 && position + 1 > window ? position + 1 - window : 0;
    const float* alibi = pass_.positions.alibi();
    if (alibi != nullptr) alibi += h * pass_.positions.alibi_stride();
    for (Size j = first; j <= position; ++j) {
      s[j] *= spec_.scale;
      if (slope != nullptr) {
        const float t = std::tanh(s[j] / spec_.soft_cap);
        s[j] = spec_.soft_cap * t;
        slope[j] = 1 - t * t;
      }
      if (alibi != nullptr) s[j] += spec_.scale * alibi[j];
    }
    ops().softmax(s + first, position + 1 - first);
    std::fill(s, s + first, 0.0F);
    std::fill(s + position + 1, s + end, 0.0F);
    if (slope == nullptr) return;
    std::fill(slope, slope + first, 0.0F);
    std::fill(slope + position + 1, slope + end, 0.0F);
  }

  /// Gradients by head to those of the projections.
  void gather(AlignedVector<float>& dq, AlignedVector<float>& dk, AlignedVector<float>& dv) {
    const Size size = tokens_ * dim_;
    pass_.pool().run(kv_heads_, [&](Size begin, Size end, int) {
      for (Size g = begin; g < end; ++g) {
        for (Size i = 0; i < shared_; ++i) {
          const Size h = g * shared_ + i;
          unposition(&dq[h * size], query(h), spec_.q_norm, weights_.q_norm);
          if (i == 0) continue;
          ops().axpy(1.0F, &dk[h * size], &dk[g * shared_ * size], size);
          ops().axpy(1.0F, &dv[h * size], &dv[g * shared_ * size], size);
        }
        unposition(&dk[g * shared_ * size], key(g), spec_.k_norm, weights_.k_norm);
        const Place place = value(g);
        float* out = &gradients_[place.linear][place.offset];
        for (Size t = 0; t < tokens_; ++t)
          std::memcpy(out + t * stride(place), &dv[g * shared_ * size + t * dim_], dim_ * sizeof(float));
      }
    });
  }

  const BackwardPass& pass_;
  const AttentionSpec& spec_;
  const AttentionWeights& weights_;
  Size tokens_, dim_, heads_, kv_heads_;
  Size shared_;  // query heads of a key head
  std::array<AlignedVector<float>, 3> projections_;
  std::array<AlignedVector<float>, 3> gradients_;  // of the projections
};

}  // namespace

void backward_attention(const BackwardPass& pass, const AttentionSpec& spec, const AttentionWeights& weights,
                        const float* x, const float* dout, float* dx) {
  AttentionPass(pass, spec, weights).run(x, dout, dx);
}

}  // namespace twofold
