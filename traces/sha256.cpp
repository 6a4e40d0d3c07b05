#include "traces/sha256.hpp"

#include <openssl/evp.h>

#include <array>
#include <fstream>
#include <vector>

#include "sim/error.hpp"

namespace kvr {

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  KVR_CHECK(state_->context && EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1,
            "libcrypto has no SHA-256");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::byte> bytes) {
  const int status = EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size());
  KVR_CHECK(status == 1, "EVP_DigestUpdate of {} bytes", bytes.size());
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest{};
  const int status = EVP_DigestFinal_ex(state_->context.get(), digest.data(), nullptr);
  KVR_CHECK(status == 1, "EVP_DigestFinal_ex");
  std::string text;
  for (const unsigned char byte : digest) {
    text += fmt::format("{:02x}", byte);
  }
  return text;
}

std::string sha256_of_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    throw SystemError(fmt::format("{}: cannot be read", path.string()));
  }
  Sha256 hash;
  std::vector<char> block(1 << 16);
  while (in) {
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    hash.update(std::as_bytes(std::span(block.data(), static_cast<std::size_t>(in.gcount()))));
  }
  if (in.bad()) {
    throw SystemError(fmt::format("{}: reading failed", path.string()));
  }
  return hash.hex();
}

}  // namespace kvr
