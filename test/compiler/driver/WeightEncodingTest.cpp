#include "compiler/driver/WeightEncoding.h"

#include <cstring>

#include "gtest/gtest.h"

namespace epigraph {
namespace {

using reference::Tensor;

/// The bytes that `encode` writes, as elements of T.
template <typename T, typename Encode> std::vector<T> encoded(Encode encode) {
  std::vector<uint8_t> bytes;
  absl::Status status = encode([&](absl::Span<const uint8_t> part) {
    bytes.insert(bytes.end(), part.begin(), part.end());
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

TEST(WeightEncodingTest, RowMajorFloat) {
  Tensor values({2, 2}, std::vector<float>{1, -2, 3, 0.1f});
  auto result = encoded<float>(
      [&](const ByteSink &sink) { return encodeRowMajor(values, DType::F32, {}, sink); });
  EXPECT_EQ(result, values.floatVector());
}

TEST(WeightEncodingTest, RowMajorLongerThanOneChunk) {
  Tensor values = Tensor::floats({70001});
  for (int64_t i = 0; i < values.elements(); ++i)
    values.data()[i] = static_cast<float>(i);
  auto result = encoded<float>(
      [&](const ByteSink &sink) { return encodeRowMajor(values, DType::F32, {}, sink); });
  EXPECT_EQ(result, values.floatVector());
}

TEST(WeightEncodingTest, RowMajorInt) {
  Tensor values({3}, std::vector<int32_t>{1, -2, 1 << 30});
  auto result = encoded<int32_t>(
      [&](const ByteSink &sink) { return encodeRowMajor(values, DType::I32, {}, sink); });
  EXPECT_EQ(result, values.intVector());
}

TEST(WeightEncodingTest, BFloat16RoundsToNearestEven) {
  // 1 + 2^-8 lies between 1 and 1 + 2^-7: the even one is 1. 1 + 3 * 2^-8 rounds up.
  Tensor values({4}, std::vector<float>{1, 1.00390625f, 1.01171875f, -2});
  auto result = encoded<uint16_t>(
      [&](const ByteSink &sink) { return encodeRowMajor(values, DType::BF16, {}, sink); });
  EXPECT_EQ(result, (std::vector<uint16_t>{0x3f80, 0x3f80, 0x3f82, 0xc000}));
}

TEST(WeightEncodingTest, Float8RoundsToNearestEven) {
  // 17 lies between 16 and 18: even is 16. What is too large becomes 448.
  Tensor values({4}, std::vector<float>{1, 17, -19, 1000});
  auto result = encoded<uint8_t>(
      [&](const ByteSink &sink) { return encodeRowMajor(values, DType::F8_E4M3, {}, sink); });
  EXPECT_EQ(result, (std::vector<uint8_t>{0x38, 0x58, 0xda, 0x7e}));
}

TEST(WeightEncodingTest, PanelsOfFloat8) {
  // [3, 2] in panels of 2 columns, one by one along K: 1, 2, 3 and their negatives.
  Tensor values({3, 2}, std::vector<float>{1, -1, 2, -2, 3, -3});
  auto result = encoded<uint8_t>(
      [&](const ByteSink &sink) { return encodePanels(values, DType::F8_E4M3, {2, 1}, {}, sink); });
  EXPECT_EQ(result, (std::vector<uint8_t>{0x38, 0x40, 0xb8, 0xc0, 0x44, 0, 0xc4, 0}));
}

TEST(WeightEncodingTest, Panels) {
  // [3, 3] in panels of 2 columns, groups of 2: both sides are padded.
  Tensor values({3, 3}, std::vector<float>{11, 12, 13, 21, 22, 23, 31, 32, 33});
  auto result = encoded<float>(
      [&](const ByteSink &sink) { return encodePanels(values, DType::F32, {2, 2}, {}, sink); });
  EXPECT_EQ(result, (std::vector<float>{11, 12, 21, 22, 13, 0, 23, 0, //
                                        31, 32, 0, 0, 33, 0, 0, 0}));
}

TEST(WeightEncodingTest, PanelsOfStacks) {
  Tensor values({2, 1, 2}, std::vector<float>{1, 2, 3, 4});
  auto result = encoded<uint16_t>(
      [&](const ByteSink &sink) { return encodePanels(values, DType::BF16, {2, 2}, {}, sink); });
  EXPECT_EQ(result, (std::vector<uint16_t>{0x3f80, 0x4000, 0, 0, 0x4040, 0x4080, 0, 0}));
}

TEST(WeightEncodingTest, RowsByManyThreadsAreThoseOfOne) {
  // More than is converted at once, and no multiple of what a thread takes.
  Tensor values = Tensor::floats({3001, 3001});
  for (int64_t i = 0; i < values.elements(); ++i)
    values.data()[i] = static_cast<float>(i % 251);
  auto encodedBy = [&](int threads) {
    return encoded<uint8_t>([&](const ByteSink &sink) {
      return encodeRowMajor(values, DType::F8_E4M3, {threads}, sink);
    });
  };
  const std::vector<uint8_t> one = encodedBy(1);
  EXPECT_EQ(one.size(), static_cast<size_t>(values.elements()));
  EXPECT_EQ(one, encodedBy(3));
}

TEST(WeightEncodingTest, PanelsByManyThreadsAreThoseOfOne) {
  // More than one chunk of panels, and enough work for threads.
  Tensor values = Tensor::floats({3, 1000, 3001});
  for (int64_t i = 0; i < values.elements(); ++i)
    values.data()[i] = static_cast<float>(i % 251);
  auto encodedBy = [&](int threads) {
    return encoded<uint16_t>([&](const ByteSink &sink) {
      return encodePanels(values, DType::BF16, {32, 2}, {threads}, sink);
    });
  };
  EXPECT_EQ(encodedBy(1), encodedBy(3));
}

TEST(WeightEncodingTest, SinkErrorsEndIt) {
  Tensor values({2, 2}, std::vector<float>{1, 2, 3, 4});
  ByteSink full = [](absl::Span<const uint8_t>) { return absl::ResourceExhaustedError("full"); };
  EXPECT_FALSE(encodeRowMajor(values, DType::F32, {}, full).ok());
  EXPECT_FALSE(encodePanels(values, DType::F32, {1, 1}, {}, full).ok());
}

} // namespace
} // namespace epigraph
